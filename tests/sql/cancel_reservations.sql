\ir helpers.psql
SELECT no_plan();

SELECT sku('tv', 10, 3), sku('radio', 5);
SELECT holder('tv', 10) AS node \gset
SELECT tranche.move_units('radio', ARRAY[:node], ARRAY[4], NULL, 'test');
SELECT is(outcomes(:node, true, uids(1, 2, 3, 4, 5), '{tv,radio,tv,tv,radio}', '{u1,u2,u3,u4,u5}', '{1,1,2,1,1}'),
          '{CREATED,CREATED,CREATED,CREATED,CREATED}');
SELECT version('tv') AS tv, version('radio') AS radio \gset

-- The answer is the row; the units are in the pool.
SELECT results_eq($$ SELECT idx, outcome, bound, reservation_id, sku_id COLLATE "default", user_id COLLATE "default", quantity, state,
                            amount_minor, currency, payment_reference, cancel_reason, extensions, revision, rebooked_from, finished_us >= created_us
                     FROM tranche.cancel_reservations(uids(3), '{changed my mind}') $$,
                  $$ VALUES (1, 'DONE', NULL::bigint, uid(3), 'tv', 'u3', 2, 'CANCELLED', 1000::bigint, 'EUR', NULL,
                             'changed my mind', 0, 2, NULL::uuid, true) $$);
SELECT is(slices('tv'), format('0:2 %s:6', :node));
SELECT results_eq($$ SELECT payload - 'occurred_at' FROM tranche.outbox $$,
                  $$ SELECT jsonb_build_object('kind', 'reservation.cancelled', 'reservation_id', uid(3), 'revision', 2,
                       'sku_id', 'tv', 'user_id', 'u3', 'quantity', 2, 'amount_minor', 1000, 'currency', 'EUR',
                       'state', 'CANCELLED', 'cancel_reason', 'changed my mind') $$);

-- The pool was empty: the SKU must be announced, with a new version.
SELECT results_eq($$ SELECT sku_id FROM tranche.list_returned_skus('', 9) $$, $$ VALUES ('tv') $$);
SELECT is(waiting('tv'), true);
SELECT is(version('tv'), :tv + 1::bigint);
SELECT is((SELECT version FROM tranche.read_quota('tv') WHERE holder = 0), version('tv'));
-- It has less than a buyer may ask for: that is announced, too.
SELECT is(cancel(uids(1)), '{"DONE CANCELLED 2"}');
SELECT is(slices('tv'), format('0:3 %s:6', :node));
SELECT is(version('tv'), :tv + 2::bigint);
SELECT is((SELECT version FROM tranche.read_quota('tv') WHERE holder = 0), version('tv'));

-- A batch in which everything occurs, over several SKUs, in no order.
SELECT is(confirm(uids(4)), '{"DONE CONFIRMED 2"}');
SELECT is(cancel(uids(99, 5, 1, 4, 2)),
          '{NOT_FOUND,"DONE CANCELLED 2","REPLAYED CANCELLED 2","STATE CONFIRMED 2","DONE CANCELLED 2"}');
SELECT is(slices('tv') || ', ' || slices('radio'), format('0:3 %1$s:6, 0:3 %1$s:2', :node), 'those of a SKU are summed');
SELECT is(version('radio'), :radio::bigint, 'its pool had a unit');
SELECT is(messages(1, 2, 4, 5),
          '1:reservation.cancelled:2 2:reservation.cancelled:2 4:reservation.confirmed:2 5:reservation.cancelled:2');
SELECT is(cancel(uids(2), 'another reason'), '{"REPLAYED CANCELLED 2"}');
SELECT is((SELECT cancel_reason FROM tranche.find_reservations(uids(2))), 'why', 'the first is kept');
SELECT throws_ok('SELECT cancel(uids(1, 1))', '22023', NULL, 'a repeated id');
SELECT is(cancel('{}'), NULL, 'an empty batch');

-- A buyer's own cancelled hold does not block them.
SELECT is(outcome(:node, 11, 'radio', 'u2'), 'CREATED');
SELECT is(outcome(:node, 2, 'radio', 'u2'), 'REPLAYED', '... and stays known');
-- A due hold that is not expired yet can be cancelled; an expired one cannot.
SELECT make_due(11);
SELECT is(cancel(uids(11)), '{"DONE CANCELLED 2"}');
SELECT is(outcome(:node, 12, 'radio', 'u2'), 'CREATED');
SELECT make_due(12);
SELECT is(expire(), '1 false');
SELECT is(cancel(uids(12)), '{"STATE EXPIRED 2"}');
-- A reservation whose incarnation has ended: the units go to the pool all the same.
SELECT is(outcome(:node, 13, 'tv', 'u9'), 'CREATED');
SELECT tranche.reclaim_incarnation(:node);
SELECT is(slices('tv'), '0:8');
SELECT is(cancel(uids(13)), '{"DONE CANCELLED 2"}');
SELECT is(slices('tv'), '0:9');

-- A SKU on its way to another shard keeps its units where they are.
SELECT holder('tv', 9) AS node \gset
SELECT is(outcome(:node, 14, 'tv', 'u1'), 'CREATED');
SELECT move_sku('tv', 'LEAVING');
SELECT is(cancel(uids(14, 4, 2)), '{MOVING,MOVING,"REPLAYED CANCELLED 2"}');
SELECT is(slices('tv'), format('0:0 %s:8', :node));
SELECT move_sku('tv', 'GONE');
SELECT is(cancel(uids(14)), '{NOT_FOUND}', 'GONE');
SELECT move_sku('tv', 'ARRIVING');
SELECT is(cancel(uids(14)), '{NOT_FOUND}', 'ARRIVING');
SELECT move_sku('tv', 'HERE');
SELECT is(cancel(uids(14)), '{"DONE CANCELLED 2"}');
SELECT conserved();

-- A closed SKU's units come back too.
SELECT is(outcome(:node, 15, 'tv', 'u1'), 'CREATED');
SELECT tranche.close_sku('tv', 'test');
SELECT is(cancel(uids(15)), '{"DONE CANCELLED 2"}');
SELECT is(slices('tv'), format('0:2 %s:7', :node));
SELECT conserved();
SELECT * FROM finish();
