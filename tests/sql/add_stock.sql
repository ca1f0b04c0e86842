\ir helpers.psql
SELECT plan(9);

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
SELECT conserved();
SELECT * FROM finish();
