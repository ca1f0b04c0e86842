\ir helpers.psql
SELECT no_plan();

SELECT sku('tv', 10, 3), sku('radio', 5);
SELECT holder('tv', 10) AS node \gset
SELECT tranche.move_units('radio', ARRAY[:node], ARRAY[5], NULL, 'test');
SELECT is(outcomes(:node, true, uids(1, 2, 3, 4), '{tv,radio,tv,tv}', '{u1,u2,u3,u4}', '{1,1,2,1}'),
          '{CREATED,CREATED,CREATED,CREATED}');
SELECT slices('tv') AS before, version('tv') AS v \gset

-- The answer is the row, with the requested change.
SELECT results_eq($$ SELECT idx, outcome, bound, reservation_id, sku_id COLLATE "default", user_id COLLATE "default", quantity, state,
                            amount_minor, currency, payment_reference, cancel_reason, extensions, revision, rebooked_from,
                            finished_us BETWEEN created_us AND (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
                     FROM tranche.confirm_reservations(uids(3), '{pay-3}', '{1000}', '{EUR}') $$,
                  $$ VALUES (1, 'DONE', NULL::bigint, uid(3), 'tv', 'u3', 2, 'CONFIRMED', 1000::bigint, 'EUR', 'pay-3',
                             NULL, 0, 2, NULL::uuid, true) $$);
SELECT results_eq($$ SELECT (f).* FROM (SELECT f FROM tranche.find_reservations(uids(3)) AS f) AS x $$,
                  $$ SELECT r.* FROM tranche.reservation_columns r WHERE state = 'CONFIRMED' $$);
SELECT is(slices('tv') || version('tv'), :'before' || :v, 'no unit moves, and no version');

-- Its message, one for each sink.
SELECT results_eq($$ SELECT reservation_id, revision, sink COLLATE "default", sku_id COLLATE "default", kind, state, attempts
                     FROM tranche.outbox $$,
                  $$ VALUES (uid(3), 2, 'default', 'tv', 'reservation.confirmed', 'PENDING', 0) $$);
SELECT results_eq($$ SELECT payload - 'occurred_at' FROM tranche.outbox $$,
                  $$ SELECT jsonb_build_object('kind', 'reservation.confirmed', 'reservation_id', uid(3), 'revision', 2,
                       'sku_id', 'tv', 'user_id', 'u3', 'quantity', 2, 'amount_minor', 1000, 'currency', 'EUR',
                       'state', 'CONFIRMED', 'payment_reference', 'pay-3') $$);
SELECT is((SELECT payload->>'occurred_at' FROM tranche.outbox),
          (SELECT to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM tranche.reservation
           WHERE reservation_id = uid(3)), 'in UTC, whatever the session''s zone');
INSERT INTO tranche.outbox_sink (name) VALUES ('second');
SET timezone = 'America/New_York';

-- A batch in which everything occurs, in no order.
SELECT make_due(2);
SELECT is((SELECT array_agg(outcome || ' ' || coalesce(state, '-') ORDER BY idx)
           FROM tranche.confirm_reservations(uids(99, 3, 4, 1, 2), '{p,pay-3,p,pay-1,pay-2}', '{500,1000,499,500,500}',
                                             '{EUR,EUR,EUR,EUR,EUR}')),
          ARRAY['NOT_FOUND -', 'REPLAYED CONFIRMED', 'PAYMENT_MISMATCH PENDING', 'DONE CONFIRMED', 'DONE CONFIRMED'],
          'a hold that is due is confirmed while it is there');
SELECT is((SELECT count(*) FROM tranche.outbox WHERE kind = 'reservation.confirmed'), 5::bigint, 'two for each sink now');
SELECT is_empty($$ SELECT FROM tranche.outbox WHERE (payload->>'occurred_at')::timestamptz
                     NOT BETWEEN now() - interval '1 min' AND clock_timestamp() $$);
DELETE FROM tranche.outbox WHERE sink = 'second';
DELETE FROM tranche.outbox_sink WHERE name = 'second';

-- Repeats and conflicts.
SELECT is(confirm(uids(1), 'pay-1'), '{"REPLAYED CONFIRMED 2"}');
SELECT is(confirm(uids(1), 'other'), '{"STATE CONFIRMED 2"}', 'another payment');
SELECT is(confirm(uids(1), 'pay-1', 501), '{"PAYMENT_MISMATCH CONFIRMED 2"}', 'not the payment that it was');
SELECT is(confirm(uids(4), 'p', 500, 'USD'), '{"PAYMENT_MISMATCH PENDING 1"}');
SELECT is(cancel(uids(4)), '{"DONE CANCELLED 2"}');
SELECT is(confirm(uids(4), 'p'), '{"STATE CANCELLED 2"}');
SELECT is(messages(1, 4), '1:reservation.confirmed:2 4:reservation.cancelled:2', 'no message without a change');
SELECT throws_ok('SELECT confirm(uids(1, 1))', '22023', NULL, 'a repeated id');
SELECT is(confirm('{}'), NULL, 'an empty batch');
SELECT is(outcome(:node, 1, 'tv', 'u1'), 'REPLAYED', 'the claim is still known');
SELECT results_eq(format($$ SELECT outcome, state, finished_us IS NOT NULL, payment_reference, cancel_reason, extensions, revision,
                                   rebooked_from
                            FROM tranche.commit_reservations(%s, true, uids(1), '{tv}', '{u1}', '{1}') $$, :node),
                  $$ VALUES ('REPLAYED', 'CONFIRMED', true, 'pay-1', NULL, 0, 2, NULL::uuid) $$);

-- A reference that is too long fails the batch whole.
SELECT is(outcomes(:node, true, uids(5, 6), '{tv,tv}', '{u5,u6}', '{1,1}'), '{CREATED,CREATED}');
SELECT throws_ok($$ SELECT * FROM tranche.confirm_reservations(uids(5, 6), ARRAY['ok', repeat('x', 129)], '{500,500}',
                                                              '{EUR,EUR}') $$, '23514');
SELECT is(state(5) || ' ' || state(6), 'PENDING PENDING');

-- No sink: no message.
DELETE FROM tranche.outbox_sink;
SELECT is(confirm(uids(5)), '{"DONE CONFIRMED 2"}');
SELECT is(messages(5), NULL);
INSERT INTO tranche.outbox_sink (name) VALUES ('default');

-- A SKU on its way to another shard.
SELECT move_sku('tv', 'LEAVING');
SELECT is(confirm(uids(6, 2), 'pay-2'), '{MOVING,"REPLAYED CONFIRMED 2"}', 'others go on');
SELECT move_sku('tv', 'GONE');
SELECT is(confirm(uids(6)), '{NOT_FOUND}', 'GONE');
SELECT move_sku('tv', 'ARRIVING');
SELECT is(confirm(uids(6)), '{NOT_FOUND}', 'ARRIVING');
SELECT move_sku('tv', 'HERE');
SELECT is(confirm(uids(6)), '{"DONE CONFIRMED 2"}');
SELECT conserved();
SELECT * FROM finish();
