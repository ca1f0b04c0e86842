\ir helpers.psql
SELECT no_plan();

SELECT sku('b', 10, 1, 3), sku('a', 10), sku('untouched', 10);
SELECT holder('b', 8) AS node \gset
SELECT tranche.move_units('a', ARRAY[:node], ARRAY[5], NULL, 'test');
SELECT holder('a', 2) AS other \gset
SELECT is(outcome(:node, 1, 'b', 'u1'), 'CREATED');
SELECT version('a') AS va, version('b') AS vb \gset

SELECT results_eq(format('SELECT * FROM tranche.reclaim_incarnation(%s)', :node), $$ VALUES ('a'), ('b') $$);
SELECT is(slices('b'), '0:9');
SELECT is(slices('a'), '0:8 ' || :other || ':2', 'others keep theirs');
SELECT is(version('a'), :va + 1::bigint);
SELECT is(version('b'), :vb + 1::bigint);
SELECT is(version('untouched'), 1::bigint);
SELECT is((SELECT version FROM tranche.read_quota('b') WHERE holder = 0), version('b'));
SELECT isnt((SELECT reclaimed_at FROM tranche.incarnation WHERE incarnation_id = :node), NULL);
SELECT results_eq($$ SELECT sku_id COLLATE "default", incarnation_id, before, after FROM tranche.audit_log
                     WHERE action = 'reclaim_incarnation' ORDER BY 1 $$,
                  format($$ VALUES ('a', %1$s::bigint, '{"0": 3, "%1$s": 5}'::jsonb, '{"0": 8}'::jsonb),
                                   ('b', %1$s, '{"0": 2, "%1$s": 7}', '{"0": 9}') $$, :node));
SELECT is(outcome(:node, 2, 'b', 'u2', w), 'NOT_HELD') FROM unnest(ARRAY[true, false]) AS w;
SELECT is(outcome(:node, 1, 'b', 'u1'), 'REPLAYED', 'what it sold stays sold');

SELECT is_empty(format('SELECT * FROM tranche.reclaim_incarnation(%s)', :node), 'again: nothing');
SELECT is_empty('SELECT * FROM tranche.reclaim_incarnation(999)', 'unknown: nothing');
SELECT is_empty('SELECT * FROM tranche.reclaim_incarnation(0)', 'the pool cannot be reclaimed');
SELECT is(version('b'), :vb + 1::bigint);

-- Two at once: one does it.
SELECT open_session('s'), open_session('t');
SELECT pid('t') AS t_pid \gset
SELECT dblink_exec('s', 'BEGIN');
SELECT is(ask('s', format($$SELECT string_agg(sku_id, ' ') FROM tranche.reclaim_incarnation(%s)$$, :other)), 'a');
SELECT send('t', format($$SELECT count(*)::text FROM tranche.reclaim_incarnation(%s)$$, :other));
SELECT is(blocks(:'t_pid'), true);
SELECT dblink_exec('s', 'COMMIT');
SELECT is(receive('t'), '0');
SELECT is(slices('a'), '0:10');

-- The flag of the pool follows, and stays when nothing came back.
SELECT sku('drained', 5);
SELECT holder('drained', 5) AS all_of_it \gset
SELECT is(waiting('drained'), false);
SELECT tranche.reclaim_incarnation(:all_of_it);
SELECT is(waiting('drained'), true);
SELECT holder('drained', 5) AS seller \gset
SELECT is(outcome(:seller, 50 + n, 'drained', 'u' || n), 'CREATED') FROM generate_series(1, 5) AS n;
SELECT tranche.reclaim_incarnation(:seller);
SELECT is(waiting('drained'), false, 'it had sold everything');

SELECT conserved();
SELECT * FROM finish();
