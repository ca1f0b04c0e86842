\ir helpers.psql
SELECT no_plan();

SELECT sku('tv', 100);
SELECT node() AS a, node() AS b, node() AS dead \gset
SELECT tranche.reclaim_incarnation(:dead);

SELECT is(tranche.move_units('tv', ARRAY[:a, :b], ARRAY[60, 30], NULL, 'alice'), true);
SELECT is(slices('tv'), format('0:10 %s:60 %s:30', :a, :b));
SELECT is(version('tv'), 2::bigint);
SELECT is((SELECT bool_and(version = 2) FROM tranche.stock_slot), true, 'each slot that changed has the version');
SELECT results_eq($$ SELECT actor, before, after FROM tranche.audit_log WHERE action = 'move_units' $$,
                  format($$ VALUES ('alice', '{"0": 100}'::jsonb, '{"0": 10, "%s": 60, "%s": 30}'::jsonb) $$, :a, :b));

-- Withdrawals come first, so that they pay for deposits of the same call.
SELECT tranche.move_units('tv', ARRAY[:b, :a], ARRAY[50, -45], NULL, 'test');
SELECT is(slices('tv'), format('0:5 %s:15 %s:80', :a, :b));

-- Clamped both ways; deposits in the order given.
SELECT tranche.move_units('tv', ARRAY[:a, :b], ARRAY[-1000, -1000], NULL, 'test');
SELECT is(slices('tv'), format('0:100 %s:0 %s:0', :a, :b));
SELECT tranche.move_units('tv', ARRAY[:b, :a], ARRAY[70, 70], NULL, 'test');
SELECT is(slices('tv'), format('0:0 %s:30 %s:70', :a, :b));
SELECT conserved();

-- The dead and the unknown receive nothing.
SELECT tranche.move_units('tv', ARRAY[:a, :dead, 999], ARRAY[-30, 10, 10], NULL, 'test');
SELECT is(slices('tv'), format('0:30 %s:0 %s:70', :a, :b));
SELECT tranche.move_units('tv', ARRAY[:dead, 999, :a], ARRAY[20, 20, 30], NULL, 'test');
SELECT is(slices('tv'), format('0:0 %s:30 %s:70', :a, :b), '... and take nothing from the living');
SELECT tranche.move_units('tv', ARRAY[:a], ARRAY[-30], NULL, 'test');

-- The expected version.
SELECT version('tv') AS v \gset
SELECT is(tranche.move_units('tv', ARRAY[:a], ARRAY[1], :v - 1, 'test'), false);
SELECT is(slices('tv'), format('0:30 %s:0 %s:70', :a, :b));
SELECT is(tranche.move_units('tv', ARRAY[:a], ARRAY[1], :v, 'test'), true);
SELECT is(version('tv'), :v + 1::bigint);

SELECT is(tranche.move_units('none', '{}', '{}', NULL, 'test'), NULL, 'no such SKU');
SELECT throws_ok(format('SELECT tranche.move_units(''tv'', ARRAY[%s, %s], ARRAY[1, 1], NULL, ''test'')', :a, :a), '22023');
SELECT throws_ok($$ SELECT tranche.move_units('tv', ARRAY[0], ARRAY[1], NULL, 'test') $$, '22023');

-- Several slots: whole units, spread evenly, none made and none lost by rounding.
SELECT sku('multi', 100, 1, 4);
SELECT tranche.move_units('multi', ARRAY[:a], ARRAY[5], NULL, 'test');
SELECT results_eq($$ SELECT remaining FROM tranche.stock_slot WHERE sku_id = 'multi' AND slot_no > 0 ORDER BY slot_no $$,
                  $$ VALUES (2::bigint), (1), (1), (1) $$);
SELECT tranche.move_units('multi', ARRAY[:a], ARRAY[2], NULL, 'test');
SELECT results_eq($$ SELECT remaining FROM tranche.stock_slot WHERE sku_id = 'multi' AND slot_no > 0 ORDER BY slot_no $$,
                  $$ VALUES (2::bigint), (2), (2), (1) $$, 'the emptiest first');
SELECT tranche.move_units('multi', ARRAY[:a], ARRAY[-3], NULL, 'test');
SELECT results_eq($$ SELECT remaining FROM tranche.stock_slot WHERE sku_id = 'multi' AND slot_no > 0 ORDER BY slot_no $$,
                  $$ VALUES (0::bigint), (1), (2), (1) $$, 'the fullest first');
SELECT is(slices('multi'), format('0:96 %s:4', :a));
SELECT conserved();

-- Two sessions. A move waits for the sale under way and moves what is left then.
SELECT open_session('s'), open_session('t');
SELECT pid('t') AS t_pid \gset
SELECT dblink_exec('s', 'BEGIN');
SELECT is(ask('s', format($$SELECT outcome(%s, 1, 'tv', 'u1')$$, :b)), 'CREATED');
SELECT send('t', format($$SELECT tranche.move_units('tv', ARRAY[%s], ARRAY[-1000], NULL, 'test')::text$$, :b));
SELECT is(blocks(:'t_pid'), true);
SELECT dblink_exec('s', 'COMMIT');
SELECT is(receive('t'), 'true');
SELECT is(slices('tv'), format('0:98 %s:1 %s:0', :a, :b));

-- A deposit and a reclaim of its receiver: the units are in the slice and reclaimed, or never left the pool.
SELECT dblink_exec('s', 'BEGIN');
SELECT is(ask('s', format($$SELECT tranche.move_units('tv', ARRAY[%s], ARRAY[20], NULL, 'test')::text$$, :b)), 'true');
SELECT send('t', format($$SELECT string_agg(sku_id, ' ') FROM tranche.reclaim_incarnation(%s)$$, :b));
SELECT is(blocks(:'t_pid'), true);
SELECT dblink_exec('s', 'COMMIT');
SELECT is(receive('t'), 'tv');
SELECT is(slices('tv'), format('0:98 %s:1', :a));
SELECT dblink_exec('s', 'BEGIN');
SELECT ask('s', format($$SELECT string_agg(sku_id, ' ') FROM tranche.reclaim_incarnation(%s)$$, :a));
SELECT send('t', format($$SELECT tranche.move_units('tv', ARRAY[%s], ARRAY[20], NULL, 'test')::text$$, :a));
SELECT is(blocks(:'t_pid'), true);
SELECT dblink_exec('s', 'COMMIT');
SELECT is(receive('t'), 'true');
SELECT is(slices('tv'), '0:99');

-- The same with a receiver that holds nothing yet, where no slot and no SKU stands between the two.
SELECT node() AS d \gset
SELECT dblink_exec('s', 'BEGIN');
SELECT is(ask('s', format($$SELECT tranche.move_units('tv', ARRAY[%s], ARRAY[20], NULL, 'test')::text$$, :d)), 'true');
SELECT send('t', format($$SELECT string_agg(sku_id, ' ') FROM tranche.reclaim_incarnation(%s)$$, :d));
SELECT is(blocks(:'t_pid'), true);
SELECT dblink_exec('s', 'COMMIT');
SELECT is(receive('t'), 'tv');
SELECT node() AS d \gset
SELECT dblink_exec('s', 'BEGIN');
SELECT is(ask('s', format($$SELECT count(*)::text FROM tranche.reclaim_incarnation(%s)$$, :d)), '0');
SELECT send('t', format($$SELECT tranche.move_units('tv', ARRAY[%s], ARRAY[20], NULL, 'test')::text$$, :d));
SELECT is(blocks(:'t_pid'), true);
SELECT dblink_exec('s', 'COMMIT');
SELECT is(receive('t'), 'true');
SELECT is(slices('tv'), '0:99');

-- Two moves of one SKU: one after the other, each with a version of its own.
SELECT node() AS c \gset
SELECT version('tv') AS v \gset
SELECT dblink_exec('s', 'BEGIN');
SELECT ask('s', format($$SELECT tranche.move_units('tv', ARRAY[%s], ARRAY[60], NULL, 'test')::text$$, :c));
SELECT send('t', format($$SELECT tranche.move_units('tv', ARRAY[%s], ARRAY[60], %s, 'test')::text$$, :c, :v));
SELECT is(blocks(:'t_pid'), true);
SELECT dblink_exec('s', 'COMMIT');
SELECT is(receive('t'), 'false', 'the second expected the version before the first');
SELECT is(slices('tv'), format('0:39 %s:60', :c));


-- The flag of the pool.
SELECT sku('flag', 5);
SELECT holder('flag', 5) AS e \gset
SELECT is(waiting('flag'), false, 'the pool is empty');
SELECT tranche.move_units('flag', ARRAY[:e], ARRAY[-1], NULL, 'test');
SELECT is(waiting('flag'), true);
SELECT tranche.move_units('flag', ARRAY[:e], ARRAY[1], 0, 'test');
SELECT is(waiting('flag'), true, 'a refused move changes nothing');

SELECT conserved();
SELECT * FROM finish();
