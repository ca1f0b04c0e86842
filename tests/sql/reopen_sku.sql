\ir helpers.psql
SELECT no_plan();

SELECT sku('tv', 10);
SELECT holder('tv', 4) AS node \gset
SELECT is(tranche.reopen_sku('tv', 'alice'), true);
SELECT is(version('tv'), 2::bigint, 'it was not closed');
SELECT is(tranche.close_sku('tv', 'alice'), true);
SELECT is(outcome(:node, 1, 'tv', 'u1'), 'CLOSED');
SELECT is(tranche.reopen_sku('tv', 'bob'), true);
SELECT is(outcome(:node, 1, 'tv', 'u1'), 'CREATED');
SELECT is(version('tv'), 4::bigint, 'nodes hear of it');
SELECT is((SELECT terms_version FROM tranche.list_skus('', 9)), 3::bigint);
SELECT results_eq($$ SELECT sku_id FROM tranche.list_pooled_skus('', 9) $$, $$ VALUES ('tv') $$, 'its pool is handed out');
SELECT results_eq($$ SELECT actor, before, after FROM tranche.audit_log WHERE action = 'reopen_sku' $$,
                  $$ VALUES ('bob', '{"state": "CLOSED"}'::jsonb, '{"state": "OPEN"}'::jsonb) $$);
SELECT is(tranche.reopen_sku('none', 'alice'), false, 'no such SKU');
SELECT conserved();
SELECT * FROM finish();
