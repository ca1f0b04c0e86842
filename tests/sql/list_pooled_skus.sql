\ir helpers.psql
SELECT no_plan();

SELECT sku(id, 10) FROM unnest(ARRAY['a', 'b', 'closed', 'd', 'empty', 'frozen']) AS id;
SELECT tranche.create_sku('tail', 't', 1, 'EUR', 5, 1, 60, NULL, NULL, 1, 'test', false);
SELECT tranche.close_sku('closed', 'test');
SELECT tranche.set_quota_frozen('frozen', true, 'test');
SELECT holder('empty', 10) AS node \gset
SELECT results_eq($$ SELECT sku_id FROM tranche.list_pooled_skus('', 100) $$, $$ VALUES ('a'), ('b'), ('d') $$);
SELECT results_eq($$ SELECT sku_id FROM tranche.list_pooled_skus('', 2) $$, $$ VALUES ('a'), ('b') $$, 'a page');
SELECT results_eq($$ SELECT sku_id FROM tranche.list_pooled_skus('b', 2) $$, $$ VALUES ('d') $$, 'the next page');
SELECT is_empty($$ SELECT sku_id FROM tranche.list_pooled_skus('d', 2) $$);
SELECT tranche.set_quota_frozen('frozen', false, 'test'), tranche.reclaim_incarnation(:node);
SELECT results_eq($$ SELECT sku_id FROM tranche.list_pooled_skus('d', 9) $$, $$ VALUES ('empty'), ('frozen') $$,
                  'thawed, and returned');
SELECT conserved();

-- It only reads what it returns, with and without statistics, among 100,000 other SKUs.
INSERT INTO tranche.sku (sku_id, title, price_minor, currency, stock, per_user_limit, hold_seconds, pool_waiting)
SELECT 'many-' || i, 't', 1, 'EUR', 0, 1, 60, false FROM generate_series(1, 100000) AS i;
SELECT is(rows_read('sku', $$ SELECT * FROM tranche.list_pooled_skus('', 100) $$), 5::bigint, 'a table not analyzed');
SELECT is(rows_read('sku', $$ SELECT * FROM tranche.list_pooled_skus('many-', 100) $$), 0::bigint);
ANALYZE tranche.sku;
SELECT is(rows_read('sku', $$ SELECT * FROM tranche.list_pooled_skus('', 100) $$), 5::bigint, 'a table analyzed');
SELECT is(rows_read('sku', $$ SELECT * FROM tranche.list_pooled_skus('', 2) $$), 2::bigint, 'a page');
SELECT is(rows_read('sku', $$ SELECT * FROM tranche.list_pooled_skus('many-', 100) $$), 0::bigint);
-- The same for functions that get the SKUs by name.
SELECT is(rows_read('sku', $$ SELECT * FROM tranche.list_skus('', 1, 'many-77777') $$), 1::bigint, 'one SKU');
SELECT is(rows_read('sku', $$ SELECT * FROM tranche.list_skus('many-5', 10) $$), 10::bigint, 'a page of all');
SELECT is(rows_read('sku', $$ SELECT * FROM tranche.read_quotas('{many-1,many-2,a,none}') $$), 3::bigint);
-- A sale's own updates of the row do not touch the index.
SELECT is_empty($$ SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid
                   WHERE i.indexrelid = 'tranche.sku_pool_waiting'::regclass AND a.attnum = ANY (i.indkey)
                     AND a.attname IN ('quota_version', 'stock') $$);
SELECT * FROM finish();
