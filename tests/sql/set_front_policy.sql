\ir helpers.psql
SELECT no_plan();

-- 'outcome begun version round admitted' of a change.
CREATE FUNCTION set_policy(p_sku text, p_document text, p_admitted integer DEFAULT NULL, p_new_round boolean DEFAULT false,
                           p_expected bigint DEFAULT NULL, p_actor text DEFAULT 'alice') RETURNS text LANGUAGE sql AS
$$ SELECT concat_ws(' ', outcome, round_begun, version, round_number, round_admitted)
   FROM tranche.set_front_policy(p_sku, p_document, p_admitted, p_new_round, p_expected, p_actor) $$;

SELECT is(set_policy('tv', '{"a": 1}'), 'DONE f 2');
SELECT is(set_policy('*', '{}'), 'DONE f 3');
SELECT is(set_policy('tv', '{"a": 1}', p_expected => 99), 'DONE f 2', 'a repeat');
SELECT throws_ok($$ SELECT set_policy('tv', '{}', p_expected => 1) $$, 'TR001', 'the policy of tv has version 2, not 1');
SELECT throws_ok($$ SELECT set_policy('radio', '{}', p_expected => 1) $$, 'TR001', 'the policy of radio has version 0, not 1');
SELECT throws_ok($$ SELECT set_policy('tv', 'no json') $$, '22P02');
SELECT throws_ok($$ SELECT set_policy('tv', '{"a": "' || repeat('x', 16384) || '"}') $$, '23514');
SELECT throws_ok($$ SELECT set_policy('a b', '{}') $$, '23514');
SELECT throws_ok($$ SELECT set_policy('**', '{}') $$, '23514');
SELECT throws_ok($$ SELECT set_policy('tv', '{}', 1000001) $$, '23514');
SELECT is((SELECT version FROM tranche.read_front_version()), 3::bigint, 'none of these was a change');
SELECT results_eq($$ SELECT sku_id, document, version FROM tranche.list_front_policies('') $$,
                  $$ VALUES ('*', '{}', 3::bigint), ('tv', '{"a": 1}', 2) $$);
SELECT results_eq($$ SELECT sku_id FROM tranche.list_front_policies('', 2) $$, $$ VALUES ('*') $$, 'those that have changed since');
SELECT results_eq($$ SELECT sku_id FROM tranche.list_front_policies('tv') $$, $$ VALUES ('tv') $$);

-- Rounds.
SELECT is(set_policy('tv', '{"b": 1}', 100), 'DONE t 4 1 100');
SELECT is(set_policy('tv', '{"b": 2}', 200), 'DONE f 5 1 200');
SELECT is(set_policy('tv', '{"b": 1}', 100), 'SHRINKS f 5 1 200');
SELECT is(set_policy('tv', '{"b": 1}', 100, true), 'DONE t 6 2 100');
SELECT is(set_policy('tv', '{"b": 1}', 100, true), 'DONE t 7 3 100', 'once more is another one');
SELECT is(set_policy('*', '{}', NULL, true), 'DONE f 3', 'no lottery, no round');
SELECT is(set_policy('tv', NULL, 100, true), 'DONE f 8');
SELECT is(set_policy('tv', NULL), 'DONE f 8');
SELECT is(set_policy('none', NULL), 'DONE f', 'there is none');
SELECT results_eq($$ SELECT sku_id, document, version FROM tranche.list_front_policies('', 7) $$,
                  $$ VALUES ('tv', NULL::text, 8::bigint) $$, 'readers are told of a removal');
SELECT results_eq($$ SELECT sku_id FROM tranche.list_front_policies('') $$, $$ VALUES ('*') $$);
SELECT results_eq($$ SELECT number, admitted, ended_us >= started_us, commitment = encode(sha256(decode(key, 'hex')), 'hex')
                     FROM tranche.list_lottery_rounds('tv', 2) $$,
                  $$ VALUES (3::bigint, 100, true, true), (2, 100, true, true) $$);
SELECT is(set_policy('tv', '{}', 5), 'DONE t 9 4 5');
SELECT is((SELECT count(DISTINCT key) FROM tranche.front_round), 4::bigint);

-- The audit log, without keys.
SELECT results_eq($$ SELECT action, before ->> 'round', after ->> 'round', after ->> 'admitted_per_million'
                     FROM tranche.audit_log WHERE action = 'begin_lottery_round' ORDER BY audit_id $$,
                  $$ VALUES ('begin_lottery_round', NULL, '1', '100'), ('begin_lottery_round', '1', '2', '100'),
                            ('begin_lottery_round', '2', '3', '100'), ('begin_lottery_round', NULL, '4', '5') $$);
SELECT results_eq($$ SELECT action, sku_id, before, after FROM tranche.audit_log WHERE action <> 'begin_lottery_round' ORDER BY audit_id $$,
                  $$ VALUES ('set_front_policy', 'tv' COLLATE "C", '{}'::jsonb, '{"policy": {"a": 1}}'::jsonb),
                            ('set_front_policy', '*', '{}', '{"policy": {}}'),
                            ('set_front_policy', 'tv', '{"policy": {"a": 1}}', '{"policy": {"b": 1}}'),
                            ('set_front_policy', 'tv', '{"policy": {"b": 1}}', '{"policy": {"b": 2}}'),
                            ('set_front_policy', 'tv', '{"policy": {"b": 2}}', '{"policy": {"b": 1}}'),
                            ('remove_front_policy', 'tv', '{"policy": {"b": 1}}', '{}'),
                            ('set_front_policy', 'tv', '{}', '{"policy": {}}') $$);
SELECT is_empty($$ SELECT a.audit_id FROM tranche.audit_log a, tranche.front_round r
                   WHERE strpos(a.before::text || a.after::text, encode(r.key, 'hex')) > 0 $$);
SELECT is(set_policy('radio', '{}', p_actor => E'carol\nbecause'), 'DONE f 10');
SELECT is((SELECT changed_by FROM tranche.list_front_policies('radio')), 'carol', 'without the reason');
SELECT is((SELECT reason FROM tranche.list_audit('radio', 0, 1)), 'because');

-- The newest 100 rounds are kept.
SELECT count(set_policy('tv', '{}', 5, true)) FROM generate_series(1, 120);
SELECT is((SELECT count(*) FROM tranche.front_round WHERE sku_id = 'tv'), 100::bigint);
SELECT is((SELECT max(number) FROM tranche.list_lottery_rounds('tv', 1)), 124::bigint);

-- There may be 10,000 policies.
INSERT INTO tranche.front_policy (sku_id, document, version, changed_at, changed_by)
SELECT 's' || i, '{}', 1, now(), 'x' FROM generate_series(1, 9997) AS i;
SELECT is(set_policy('one-more', '{}'), 'FULL f');
SELECT is((SELECT outcome FROM tranche.set_front_policy('s1', '{"a": 1}', NULL, false, NULL, 'x')), 'DONE', 'another one of these');
SELECT is((SELECT outcome FROM tranche.set_front_policy('s1', NULL, NULL, false, NULL, 'x')), 'DONE');
SELECT is((SELECT outcome FROM tranche.set_front_policy('one-more', '{}', NULL, false, NULL, 'x')), 'DONE');
SELECT * FROM finish();
