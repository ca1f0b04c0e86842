\ir helpers.psql
SELECT plan(4);

SELECT sku('tv', 10, 3);
SELECT holder('tv', 10) AS node \gset
SELECT is(outcomes(:node, true, uids(1, 2), ARRAY['tv', 'tv'], ARRAY['u1', 'u2'], ARRAY[1, 3]), '{CREATED,CREATED}');
SELECT results_eq($$ SELECT reservation_id, sku_id COLLATE "default", user_id COLLATE "default", quantity, state, amount_minor, currency, incarnation_id,
                            expires_us - created_us
                     FROM tranche.find_reservations(uids(3, 2)) $$,
                  format($$ VALUES (uid(2), 'tv', 'u2', 3, 'PENDING', 1500::bigint, 'EUR', %s::bigint, 60000000::bigint) $$,
                         :node));
SELECT is((SELECT count(*) FROM tranche.find_reservations(uids(1, 2, 3))), 2::bigint, 'those that exist');
SELECT is_empty($$ SELECT * FROM tranche.find_reservations('{}') $$);
SELECT * FROM finish();
