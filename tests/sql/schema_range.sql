-- Which servers the schema serves: those that know no front door, no draws or no service mode, only while there are none.
\ir helpers.psql
SELECT no_plan();

CREATE FUNCTION oldest() RETURNS integer LANGUAGE sql AS $$ SELECT oldest_server FROM tranche.schema_range() $$;
CREATE FUNCTION put(p_document text) RETURNS text LANGUAGE sql AS
$$ SELECT outcome FROM tranche.set_front_policy('*', p_document, NULL, false, NULL, 'alice') $$;
CREATE FUNCTION deny(p_user text) RETURNS text LANGUAGE sql AS
$$ SELECT outcome FROM tranche.add_access_entries('{BUYER}', ARRAY[p_user], '{f}', '{NULL}', '{why}', false, 'alice') $$;

SELECT cmp_ok((SELECT version FROM tranche.schema_range()), '>=', 23);
SELECT is(oldest(), 9, 'everybody may try');
SELECT is(put('{}'), 'DONE');
SELECT is(oldest(), 20, 'they would let everybody in');
SELECT is(put(NULL), 'DONE');
SELECT is(oldest(), 9, 'what was removed counts no more');
SELECT is(deny('u1'), 'DONE');
SELECT is(deny('u2'), 'DONE');
SELECT is(oldest(), 20, 'they would let in whom the list denies');
SELECT is((SELECT removed FROM tranche.remove_access_entries('{BUYER}', '{u1}', false, 'alice')), 1::bigint);
SELECT is(oldest(), 20);
UPDATE tranche.access_entry SET expires_at = now() - interval '1 second' WHERE value = 'u2';
SELECT is(oldest(), 9, 'the time of the last one is over');

SELECT is(put('{"draw": {}}'), 'DONE');
SELECT is(oldest(), 21, 'they would sell what is drawn');
SELECT is(put(NULL), 'DONE');
SELECT is(oldest(), 9);
SELECT sku('tv', 10);
SELECT is((SELECT outcome FROM tranche.create_draw('tv', 1, 1, '', 'drand', NULL, 'x')), 'DONE');
SELECT is(oldest(), 21);
SELECT is((SELECT outcome FROM tranche.change_draw('tv', 1, 'CANCEL', '', 'x')), 'DONE');
SELECT is(oldest(), 9, 'it is over');

SELECT is((SELECT count(*) FROM tranche.set_service_mode('CHANGES_ONLY', '', 'alice')), 2::bigint);
SELECT is(oldest(), 22, 'they would go on selling');
SELECT is((SELECT count(*) FROM tranche.set_service_mode('NORMAL', '', 'alice')), 2::bigint);
SELECT is(oldest(), 9);

-- Servers ask themselves.
SET ROLE tranche_node;
SELECT lives_ok('SELECT * FROM tranche.schema_range()');
RESET ROLE;
SELECT * FROM finish();
