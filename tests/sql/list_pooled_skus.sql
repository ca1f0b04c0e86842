\ir helpers.psql
SELECT plan(4);

SELECT sku(id, 10) FROM unnest(ARRAY['a', 'b', 'closed', 'd', 'empty']) AS id;
SELECT tranche.close_sku('closed', 'test');
SELECT holder('empty', 10);
SELECT results_eq($$ SELECT sku_id FROM tranche.list_pooled_skus('', 100) $$, $$ VALUES ('a'), ('b'), ('d') $$);
SELECT results_eq($$ SELECT sku_id FROM tranche.list_pooled_skus('', 2) $$, $$ VALUES ('a'), ('b') $$, 'a page');
SELECT results_eq($$ SELECT sku_id FROM tranche.list_pooled_skus('b', 2) $$, $$ VALUES ('d') $$, 'the next page');
SELECT is_empty($$ SELECT sku_id FROM tranche.list_pooled_skus('d', 2) $$);
SELECT * FROM finish();
