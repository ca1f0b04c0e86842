\ir helpers.psql
SELECT plan(9);

SELECT sku(id, 10) FROM unnest(ARRAY['b', 'a', 'C', 'a-1', 'a_1', '9']) AS id;
SELECT results_eq($$ SELECT sku_id COLLATE "default" FROM tranche.list_skus('', 100) $$,
                  $$ VALUES ('9'), ('C'), ('a'), ('a-1'), ('a_1'), ('b') $$, 'in the order of the bytes');
SELECT results_eq($$ SELECT sku_id COLLATE "default" FROM tranche.list_skus('a', 2) $$, $$ VALUES ('a-1'), ('a_1') $$, 'a page');
SELECT is_empty($$ SELECT * FROM tranche.list_skus('b', 10) $$);
SELECT results_eq($$ SELECT sku_id COLLATE "default" FROM tranche.list_skus('', 1, 'b') $$, $$ VALUES ('b') $$, 'one SKU');
SELECT is_empty($$ SELECT * FROM tranche.list_skus('', 1, 'none') $$);
SELECT holder('a', 4) AS node \gset
SELECT results_eq($$ SELECT unsold, quota_version, holds_may_lapse, opens_us, closes_us, closed
                     FROM tranche.list_skus('', 1, 'a') $$,
                  $$ VALUES (10::bigint, 2::bigint, false, NULL::bigint, NULL::bigint, false) $$);
SELECT is(outcome(:node, 1, 'a', 'u1'), 'CREATED');
SELECT results_eq($$ SELECT unsold, holds_may_lapse FROM tranche.list_skus('', 1, 'a') $$,
                  $$ VALUES (9::bigint, true) $$, 'an unpaid hold may lapse');
SELECT tranche.set_quota_frozen('a', true, 'test');
SELECT results_eq($$ SELECT presplit, quota_frozen FROM tranche.list_skus('', 1, 'a') $$, $$ VALUES (true, true) $$);
SELECT * FROM finish();
