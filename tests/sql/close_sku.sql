\ir helpers.psql
SELECT plan(8);

SELECT sku('tv', 10);
SELECT holder('tv', 4) AS node \gset
SELECT is(tranche.close_sku('tv', 'alice'), true);
SELECT is(outcome(:node, 1, 'tv', 'u1'), 'CLOSED');
SELECT is(slices('tv'), '0:6 ' || :node || ':4', 'the units stay where they are');
SELECT is(version('tv'), 3::bigint, 'nodes hear of it');
SELECT is(tranche.close_sku('tv', 'bob'), true, 'once more is harmless');
SELECT results_eq($$ SELECT actor, version('tv') FROM tranche.audit_log WHERE action = 'close_sku' $$,
                  $$ VALUES ('alice', 3::bigint) $$, '... and changes nothing');
SELECT is(tranche.close_sku('none', 'alice'), false, 'no such SKU');
SELECT conserved();
SELECT * FROM finish();
