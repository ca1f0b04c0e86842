\ir helpers.psql
SELECT no_plan();

SELECT sku('tv', 10);
SELECT holder('tv', 10) AS node \gset
SELECT is(tranche.add_stock('tv', 500, 'alice'), true);
SELECT is(slices('tv'), '0:500 ' || :node || ':10', 'the units land in the pool');
SELECT is((SELECT stock FROM tranche.sku), 510::bigint);
SELECT is((SELECT version FROM tranche.read_quota('tv') WHERE holder = 0), version('tv'), 'the pool has the new version');
SELECT results_eq($$ SELECT actor, before->>'stock', after->>'stock' FROM tranche.audit_log WHERE action = 'add_stock' $$,
                  $$ VALUES ('alice', '10', '510') $$);
SELECT is(tranche.add_stock('none', 1, 'alice'), false, 'no such SKU');
SELECT throws_ok($$ SELECT tranche.add_stock('tv', 0, 'alice') $$, '22023', NULL, 'at least one unit');
SELECT throws_ok($$ SELECT tranche.add_stock('tv', 1000000000, 'alice') $$, '23514', NULL, 'stock is bounded');

-- The expected stock.
SELECT throws_ok($$ SELECT tranche.add_stock('tv', 1, 'alice', 509) $$, 'TR001', 'the stock of tv is 510, not 509');
SELECT is(tranche.add_stock('tv', 1, 'alice', 510), true);
SELECT throws_ok($$ SELECT tranche.add_stock('tv', 1, 'alice', 510) $$, 'TR001', NULL, 'the same once more adds nothing');
SELECT is((SELECT stock FROM tranche.sku), 511::bigint);
SELECT is(tranche.add_stock('none', 1, 'alice', 0), false);

-- The flag of the pool.
SELECT sku('empty', 0);
SELECT is(waiting('empty'), false);
SELECT tranche.add_stock('empty', 3, 'test');
SELECT is(waiting('empty'), true);

-- Two operators from the same stock: one adds.
SELECT open_session('s'), open_session('t');
SELECT pid('t') AS t_pid \gset
SELECT dblink_exec('s', 'BEGIN');
SELECT is(ask('s', $$SELECT tranche.add_stock('empty', 10, 's', 3)::text$$), 'true');
SELECT send('t', $$SELECT tranche.add_stock('empty', 10, 't', 3)::text$$);
SELECT is(blocks(:'t_pid'), true);
SELECT dblink_exec('s', 'COMMIT');
SELECT throws_ok($$ SELECT receive('t') $$, 'TR001', 'the stock of empty is 13, not 3');
SELECT is(slices('empty'), '0:13');
SELECT conserved();
SELECT * FROM finish();
