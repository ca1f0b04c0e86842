\ir helpers.psql
SELECT no_plan();

-- 'id:USE ...' of the keys, and what a rotation answers.
CREATE FUNCTION keys() RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(key_id || ':' || use, ' ' ORDER BY key_id) FROM tranche.list_front_keys() $$;
CREATE FUNCTION rotate(p_all boolean DEFAULT false, p_expected bigint DEFAULT NULL) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(concat_ws(' ', outcome, key_id, use), ', ' ORDER BY key_id)
   FROM tranche.rotate_front_keys(p_all, p_expected, 'alice') $$;
CREATE FUNCTION make_old(p_age interval) RETURNS void LANGUAGE sql AS $$ UPDATE tranche.front_key SET since = now() - p_age $$;

SELECT is(keys(), '1:PREVIOUS 2:CURRENT 3:NEXT');
SELECT is(rotate(), 'TOO_SOON');
SELECT make_old('14 minutes 50 seconds');
SELECT is((SELECT wait_us BETWEEN 1 AND 10000000 FROM tranche.rotate_front_keys(false, NULL, 'alice')), true);
SELECT is((SELECT version FROM tranche.read_front_version()), 1::bigint);
SELECT make_old('15 minutes');
SELECT throws_ok('SELECT rotate(p_expected => 3)', 'TR001', 'the current key is 2, not 3');
CREATE TABLE before AS SELECT * FROM tranche.front_key;
SELECT is(rotate(p_expected => 2), 'DONE 2 PREVIOUS, DONE 3 CURRENT, DONE 4 NEXT');
SELECT is((SELECT version FROM tranche.read_front_version()), 2::bigint);
SELECT results_eq($$ SELECT key_id, secret = (SELECT b.secret FROM before b WHERE b.key_id = k.key_id), since > now() - interval '1 minute'
                     FROM tranche.front_key k ORDER BY key_id $$,
                  $$ VALUES (2::bigint, true, true), (3, true, true), (4, NULL, true) $$);
SELECT throws_ok('SELECT rotate(p_expected => 2)', 'TR001');
SELECT is(rotate(), 'TOO_SOON', 'tokens of the previous one live');
SELECT is(rotate(true), 'DONE 5 PREVIOUS, DONE 6 CURRENT, DONE 7 NEXT', 'at once, if others know them');
SELECT is((SELECT count(DISTINCT secret) FROM tranche.front_key), 3::bigint);
SELECT results_eq($$ SELECT actor, action, before, after FROM tranche.audit_log ORDER BY audit_id $$,
                  $$ VALUES ('alice', 'rotate_front_keys', '{"current": 2}'::jsonb, '{"next": 4, "current": 3, "previous": 2}'::jsonb),
                            ('alice', 'replace_front_keys', '{"current": 3}', '{"next": 7, "current": 6, "previous": 5}') $$);
SELECT * FROM finish();
