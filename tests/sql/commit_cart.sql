\ir helpers.psql
SELECT no_plan();

SELECT sku('a', 10, 3), sku('b', 10, 2), sku('c', 1);
SELECT holder('a', 5) AS node \gset
SELECT tranche.move_units('b', ARRAY[:node], ARRAY[5], NULL, 'test'), tranche.move_units('c', ARRAY[:node], ARRAY[1], NULL, 'test');

-- All.
SELECT results_eq(format($$ SELECT committed, idx, outcome, state, amount_minor, currency, incarnation_id,
                                   expires_us - created_us, slice_version, finished_us, revision
                            FROM tranche.commit_cart(%s, uids(1, 2), '{b,a}', '{u1,u1}', '{1,2}') ORDER BY idx $$, :node),
                  format($$ VALUES (true, 1, 'CREATED', 'PENDING', 500::bigint, 'EUR', %1$s::bigint, 60000000::bigint,
                                    NULL::bigint, NULL::bigint, NULL::integer),
                                   (true, 2, 'CREATED', 'PENDING', 1000, 'EUR', %1$s, 60000000, NULL, NULL, NULL) $$, :node));
SELECT results_eq(format($$ SELECT committed, idx, outcome, state, amount_minor, incarnation_id, created_us, expires_us, revision
                            FROM tranche.commit_cart(%s, uids(1, 2), '{b,a}', '{u1,u1}', '{1,2}') ORDER BY idx $$, :node),
                  $$ SELECT true, n, 'REPLAYED', state, amount_minor, incarnation_id, created_us, expires_us, revision
                     FROM unnest(ARRAY[1, 2]) AS n JOIN tranche.reservation_columns ON reservation_id = uid(n) ORDER BY n $$,
                  'once more: the first answer');
SELECT is(slices('a') || ' ' || slices('b'), format('0:5 %1$s:3 0:5 %1$s:4', :node));

-- Or nothing: each line has its own outcome.
SELECT is(cart(:node, uids(3, 4), '{a,c}', '{1,2}'), 'false CREATED QUANTITY_ABOVE_LIMIT');
SELECT is_empty('SELECT FROM tranche.reservation WHERE reservation_id = ANY (uids(3, 4))');
SELECT results_eq(format($$ SELECT committed, outcome, state, amount_minor, created_us, expires_us
                            FROM tranche.commit_cart(%s, uids(3, 4), '{a,none}', '{u1,u1}', '{1,1}') ORDER BY idx $$, :node),
                  $$ VALUES (false, 'CREATED', NULL, NULL::bigint, NULL::bigint, NULL::bigint),
                            (false, 'SKU_NOT_FOUND', NULL, NULL, NULL, NULL) $$, 'no reservation that is not there');
SELECT is(cart(:node, uids(3, 1), '{a,b}', '{1,1}'), 'false CREATED REPLAYED', 'a line of another cart');
SELECT is(cart(:node, uids(3, 1), '{a,b}', '{1,2}'), 'false CREATED CONFLICT');
SELECT is(cart(:node, uids(3, 4), '{a,b}', '{1,2}'), 'false CREATED USER_LIMIT_REACHED');
SELECT is(cart(999, uids(3, 4), '{a,b}', '{1,1}'), 'false NOT_HELD NOT_HELD');
SELECT throws_ok(format($$SELECT cart(%s, uids(3, 3), '{a,b}', '{1,1}')$$, :node), '22023', NULL, 'a repeated id');
SELECT is(slices('a') || ' ' || slices('b') || ' ' || slices('c'), format('0:5 %1$s:3 0:5 %1$s:4 0:0 %1$s:1', :node),
          'no unit is gone');

-- Lines of one SKU count together: against the buyer's limit, and against the units.
SELECT is(cart(:node, uids(5, 6), '{a,a}', '{2,2}', 'u2'), 'false CREATED USER_LIMIT_REACHED');
SELECT is(cart(:node, uids(5, 6), '{a,a}', '{2,1}', 'u2'), 'true CREATED CREATED');
SELECT results_eq($$ SELECT ordinal FROM tranche.reservation WHERE user_id = 'u2' ORDER BY 1 $$, $$ VALUES (1), (2) $$);
SELECT is(slices('a'), format('0:5 %s:0', :node));
SELECT tranche.move_units('a', ARRAY[:node], ARRAY[2], NULL, 'test');
SELECT is(cart(:node, uids(7, 8), '{a,a}', '{2,1}', 'u3'), 'false SHORT CREATED', 'two are left, and the smaller goes first');
SELECT is(cart(:node, uids(7, 8), '{a,a}', '{1,1}', 'u3'), 'true CREATED CREATED');

-- If a line was confirmed since, it is still the same cart.
SELECT is(confirm(uids(1)), '{"DONE CONFIRMED 2"}');
SELECT is(cart(:node, uids(1, 2), '{b,a}', '{1,2}'), 'true REPLAYED REPLAYED');

-- A SKU on its way to another shard blocks its cart.
SELECT move_sku('c', 'LEAVING');
SELECT is(cart(:node, uids(9, 10), '{b,c}', '{1,1}', 'u4'), 'false CREATED MOVING');
SELECT move_sku('c', 'HERE');
SELECT is(cart(:node, uids(9, 10), '{b,c}', '{1,1}', 'u4'), 'true CREATED CREATED');
SELECT conserved();
SELECT * FROM finish();
