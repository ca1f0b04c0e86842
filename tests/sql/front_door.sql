-- What all changes of the front door share: versions, what is forgotten, and who may read the keys.
\ir helpers.psql
SELECT no_plan();

SELECT is((SELECT version FROM tranche.read_front_version()), 1::bigint, 'the keys were made with the schema');
SELECT is((SELECT string_agg(use || ':' || octet_length(decode(secret, 'hex')), ' ' ORDER BY key_id) FROM tranche.list_front_keys()),
          'PREVIOUS:32 CURRENT:32 NEXT:32');
SELECT is((SELECT count(DISTINCT secret) FROM tranche.list_front_keys()), 3::bigint);
SELECT isnt(tranche.random_key(), tranche.random_key());

-- The servers read them by a procedure only.
SET ROLE tranche_node;
SELECT throws_ok('SELECT * FROM tranche.front_key', '42501');
SELECT throws_ok('SELECT * FROM tranche.front_round', '42501');
SELECT throws_ok('SELECT * FROM tranche.access_entry', '42501');
SELECT throws_ok('SELECT tranche.next_front_version()', '42501');
SELECT throws_ok('SELECT tranche.random_key()', '42501');
SELECT lives_ok('SELECT * FROM tranche.list_front_keys()');
SELECT lives_ok($$ SELECT * FROM tranche.read_access_changes(NULL, '', '', 10) $$);
RESET ROLE;

-- Who can go on from what they know.
SELECT stamp AS stamp FROM tranche.read_front_version() \gset
SELECT is((SELECT complete FROM tranche.compare_front_version(1, :'stamp')), false);
SELECT is((SELECT complete FROM tranche.compare_front_version(1, '00000000-0000-4000-8000-000000000000')), true, 'another history');
SELECT is((SELECT complete FROM tranche.compare_front_version(1, 'no uuid')), true);
SELECT is((SELECT complete FROM tranche.compare_front_version(2, :'stamp')), true, 'not there yet');
SELECT is((SELECT complete FROM tranche.compare_front_version(0, '')), true, 'knows nothing');

-- The newest 1,000 changes are kept.
INSERT INTO tranche.front_change (version) SELECT generate_series(2, 1050);
UPDATE tranche.front_door SET version = 1050;
SELECT is(tranche.next_front_version(), 1051::bigint);
SELECT is((SELECT count(*) FROM tranche.front_change), 1000::bigint);
SELECT is((SELECT min(version) FROM tranche.front_change), 52::bigint);
SELECT is((SELECT complete FROM tranche.compare_front_version(1, :'stamp')), true, 'too old');
SELECT is((SELECT d.stamp = c.stamp FROM tranche.front_door d JOIN tranche.front_change c ON c.version = d.version), true);
SELECT is((SELECT count(DISTINCT stamp) FROM tranche.front_change), 1000::bigint, 'each has a stamp of its own');

-- Step by step; and with them what was removed before them.
INSERT INTO tranche.front_change (version) SELECT generate_series(1052, 1551);
UPDATE tranche.front_door SET version = 1551;
INSERT INTO tranche.front_policy (sku_id, document, version, changed_at, changed_by) VALUES
  ('gone', NULL, 100, now(), 'x'), ('gone-later', NULL, 200, now(), 'x'), ('there', '{}', 100, now(), 'x');
INSERT INTO tranche.access_entry (kind, value, allow, reason, version, removed, changed_at, changed_by) VALUES
  ('BUYER', 'gone', false, '', 100, true, now(), 'x'), ('BUYER', 'gone-later', false, '', 200, true, now(), 'x'),
  ('BUYER', 'there', false, '', 100, false, now(), 'x');
SELECT is(tranche.next_front_version(), 1552::bigint);
SELECT is((SELECT min(version) FROM tranche.front_change), 152::bigint, '100 at a time');
SELECT is((SELECT string_agg(sku_id, ' ' ORDER BY sku_id) FROM tranche.front_policy), 'gone-later there');
SELECT is((SELECT string_agg(value, ' ' ORDER BY value) FROM tranche.access_entry), 'gone-later there');
SELECT tranche.next_front_version();
SELECT is((SELECT string_agg(value, ' ') FROM tranche.access_entry), 'there');
SELECT is((SELECT string_agg(sku_id, ' ') FROM tranche.front_policy), 'there');

-- A look at the version costs a row; a change costs what it forgets, not what is there.
SELECT cmp_ok(rows_read('front_door', 'SELECT * FROM tranche.read_front_version()'), '<=', 2::bigint);
INSERT INTO tranche.access_entry (kind, value, allow, reason, version, changed_at, changed_by)
SELECT 'BUYER', 'u' || i, false, '', 1, now(), 'x' FROM generate_series(1, 20000) AS i;
ANALYZE tranche.access_entry;
SELECT cmp_ok(rows_read('access_entry', 'SELECT tranche.next_front_version()'), '<=', 10::bigint);
SELECT * FROM finish();
