\ir helpers.psql
SELECT plan(20);

SELECT sku('tv', 100);
SELECT holder('tv', 50) AS rich \gset
SELECT holder('tv', 20) AS poor \gset
SELECT is(tranche.reduce_stock('tv', 25, 'alice'), 25::bigint);
SELECT is(slices('tv'), format('0:5 %s:50 %s:20', :rich, :poor), 'the pool gives first');
SELECT is(tranche.reduce_stock('tv', 35, 'alice'), 35::bigint);
SELECT is(slices('tv'), format('0:0 %s:20 %s:20', :rich, :poor), 'then the fullest slot');
SELECT conserved();
SELECT is(outcome(:rich, 1, 'tv', 'u1'), 'CREATED');
SELECT is(tranche.reduce_stock('tv', 1000, 'alice'), 39::bigint, 'what is sold stays');
SELECT is((SELECT stock FROM tranche.sku), 1::bigint);
SELECT is((SELECT after->>'asked' FROM tranche.audit_log ORDER BY audit_id DESC LIMIT 1), '1000');
SELECT is(tranche.reduce_stock('none', 1, 'alice'), NULL, 'no such SKU');
SELECT throws_ok($$ SELECT tranche.reduce_stock('tv', 0, 'alice') $$, '22023', NULL, 'at least one unit');

-- The expected stock.
SELECT throws_ok($$ SELECT tranche.reduce_stock('tv', 1, 'alice', 5) $$, 'TR001', 'the stock of tv is 1, not 5');
SELECT is(tranche.reduce_stock('tv', 1, 'alice', 1), 0::bigint);
SELECT is(tranche.reduce_stock('none', 1, 'alice', 1), NULL);

-- The flag of the pool.
SELECT sku('flag', 10);
SELECT holder('flag', 4);
SELECT is(tranche.reduce_stock('flag', 5, 'test', 10), 5::bigint);
SELECT is(waiting('flag'), true, 'one is left');
SELECT is(tranche.reduce_stock('flag', 1, 'test'), 1::bigint);
SELECT is(waiting('flag'), false);
SELECT is(tranche.reduce_stock('flag', 1, 'test'), 1::bigint, 'from the slice');
SELECT conserved();
SELECT * FROM finish();
