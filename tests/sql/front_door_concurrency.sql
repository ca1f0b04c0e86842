-- Changes of the front door in several sessions: they commit in the order of their versions.
\ir helpers.psql
SELECT no_plan();
SELECT open_session('a'), open_session('b'), open_session('c');
SELECT pid('b') AS b_pid, pid('c') AS c_pid \gset

SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$ SELECT version::text FROM tranche.set_front_policy('tv', '{}', 5, false, 0, 'alice') $$), '2');
SELECT send('b', $$ SELECT version::text FROM tranche.set_front_policy('radio', '{}', NULL, false, 0, 'bob') $$);
SELECT is(blocks(:'b_pid'), true, 'a later one waits for its turn');
SELECT is((SELECT version FROM tranche.read_front_version()), 1::bigint, 'who only reads does not wait');
SELECT is_empty($$ SELECT * FROM tranche.list_front_policies('') $$);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), '3');
SELECT is((SELECT version FROM tranche.read_front_version()), 3::bigint);

-- Who expects what was there before learns of the change that came first.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$ SELECT version::text FROM tranche.set_front_policy('tv', '{"a": 1}', 5, true, 2, 'alice') $$), '4');
SELECT send('b', $$ SELECT count(*)::text FROM tranche.add_access_entries('{BUYER}', '{u1}', '{t}', '{NULL}', '{""}', false, 'bob') $$);
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), '1');
SELECT throws_ok($$ SELECT tranche.set_front_policy('tv', '{"a": 2}', 5, true, 2, 'carol') $$, 'TR001');

-- A preview takes everything back.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$ SELECT version::text FROM tranche.set_front_policy('tv', NULL, NULL, false, NULL, 'alice') $$), '6');
SELECT send('c', $$ SELECT version::text FROM tranche.set_front_policy('tv', '{"c": 1}', 5, false, 4, 'carol') $$);
SELECT is(blocks(:'c_pid'), true);
SELECT dblink_exec('a', 'ROLLBACK');
SELECT is(receive('c'), '6');
SELECT is((SELECT count(*) FROM tranche.front_change), 6::bigint);

-- Who would wait for a change that does not end fails instead; a preview of the list does not wait.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$ SELECT version::text FROM tranche.set_front_policy('tv', '{"a": 3}', 5, false, 6, 'alice') $$), '7');
SELECT is((SELECT added FROM tranche.add_access_entries('{BUYER}', '{u2}', '{t}', '{NULL}', '{""}', true, 'bob')), 1::bigint);
SELECT is((SELECT removed FROM tranche.remove_access_entries('{BUYER}', '{u1}', true, 'bob')), 1::bigint);
SELECT throws_ok($$ SELECT tranche.remove_access_entries('{BUYER}', '{u1}', false, 'carol') $$, '55P03');
SELECT is_empty($$ SELECT p.proname FROM pg_proc p
                   WHERE p.proname IN ('set_front_policy', 'rotate_front_keys', 'add_access_entries', 'remove_access_entries')
                     AND NOT 'lock_timeout=2s' = ANY (p.proconfig) $$, 'each of them');
SELECT dblink_exec('a', 'ROLLBACK');
SELECT is((SELECT version FROM tranche.read_front_version()), 6::bigint);
SELECT is((SELECT count(*) FROM tranche.front_round WHERE ended_at IS NULL), 1::bigint);
SELECT * FROM finish();
