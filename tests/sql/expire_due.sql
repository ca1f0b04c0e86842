\ir helpers.psql
SELECT no_plan();

SELECT results_eq('SELECT expired, more, next_us FROM tranche.expire_due(10)', $$ VALUES (0::bigint, false, NULL::bigint) $$, 'no hold at all');
SELECT sku('tv', 10, 3), sku('radio', 5);
SELECT holder('tv', 10) AS node \gset
SELECT tranche.move_units('radio', ARRAY[:node], ARRAY[5], NULL, 'test');
SELECT is(outcomes(:node, true, uids(1, 2, 3, 4, 5), '{tv,radio,tv,tv,tv}', '{u1,u2,u3,u4,u5}', '{1,1,2,1,1}'),
          '{CREATED,CREATED,CREATED,CREATED,CREATED}');
SELECT results_eq('SELECT expired, more, next_us BETWEEN 50000000 AND 60000000 FROM tranche.expire_due(10)',
                  $$ VALUES (0::bigint, false, true) $$, 'none is due');
SELECT is(confirm(uids(4)), '{"DONE CONFIRMED 2"}');
SELECT make_due(1, 2, 3, 4);
SELECT results_eq('SELECT expired, more, next_us BETWEEN 50000000 AND 60000000 FROM tranche.expire_due(10)',
                  $$ VALUES (3::bigint, false, true) $$);
SELECT results_eq($$ SELECT reservation_id, state, revision, finished_at >= expires_at, payment_reference IS NULL
                     FROM tranche.reservation ORDER BY 1 $$,
                  $$ VALUES (uid(1), 'EXPIRED', 2, true, true), (uid(2), 'EXPIRED', 2, true, true),
                            (uid(3), 'EXPIRED', 2, true, true), (uid(4), 'CONFIRMED', 2, true, false),
                            (uid(5), 'PENDING', 1, NULL, true) $$);
SELECT is(slices('tv') || ', ' || slices('radio'), format('0:3 %1$s:5, 0:1 %1$s:4', :node), 'the units are in the pools');
SELECT results_eq($$ SELECT sku_id FROM tranche.list_returned_skus('', 9) $$, $$ VALUES ('radio'), ('tv') $$,
                  'which were empty');
SELECT is(messages(1, 2, 3, 4, 5), '1:reservation.expired:2 2:reservation.expired:2 3:reservation.expired:2 '
                                   '4:reservation.confirmed:2');
SELECT results_eq($$ SELECT payload - 'occurred_at' FROM tranche.outbox WHERE reservation_id = uid(3) $$,
                  $$ SELECT jsonb_build_object('kind', 'reservation.expired', 'reservation_id', uid(3), 'revision', 2,
                       'sku_id', 'tv', 'user_id', 'u3', 'quantity', 2, 'amount_minor', 1000, 'currency', 'EUR',
                       'state', 'EXPIRED', 'expires_at', to_char(expires_at AT TIME ZONE 'UTC',
                                                                 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
                     FROM tranche.reservation WHERE reservation_id = uid(3) $$);
SELECT is(outcome(:node, 6, 'radio', 'u2'), 'CREATED', 'one''s own lapsed hold is not in one''s way');
SELECT conserved();

-- The longest overdue first, up to the limit.
SELECT is(outcomes(:node, true, uids(7, 8), '{tv,tv}', '{u7,u8}', '{1,1}'), '{CREATED,CREATED}');
SELECT make_due(5, 7, 8);
UPDATE tranche.reservation SET expires_at = expires_at - interval '1 min' WHERE reservation_id = uid(8);
SELECT results_eq('SELECT expired, more, next_us FROM tranche.expire_due(1)', $$ VALUES (1::bigint, true, 0::bigint) $$);
SELECT is(state(8), 'EXPIRED');
SELECT is(expire(2), '2 false');
SELECT throws_ok('SELECT expire(0)', '22023');

-- Holds of SKUs on their way to another shard are skipped, and make nobody wait.
SELECT is(outcome(:node, 9, 'tv', 'u9'), 'CREATED');
SELECT make_due(9, 6);
SELECT move_sku('tv', 'LEAVING');
SELECT is(expire(1), '1 false');
SELECT move_sku('tv', 'GONE');
SELECT is(expire(1), '0 false');
SELECT move_sku('tv', 'ARRIVING');
SELECT results_eq('SELECT expired, more, next_us FROM tranche.expire_due(10)', $$ VALUES (0::bigint, false, NULL::bigint) $$);
SELECT is(state(9) || ' ' || state(6), 'PENDING EXPIRED');
SELECT move_sku('tv', 'HERE');
SELECT is(expire(), '1 false');
SELECT conserved();

-- It only reads what is due, among 20,000 live holds and as many finished reservations.
SELECT is(outcome(:node, 20, 'tv', 'u20'), 'CREATED');
SELECT make_due(20);
INSERT INTO tranche.reservation (reservation_id, sku_id, user_id, quantity, ordinal, state, amount_minor, currency,
                                 incarnation_id, created_at, expires_at, finished_at)
SELECT gen_random_uuid(), 'radio', 'x' || i, 1, 1, CASE WHEN i % 2 = 0 THEN 'PENDING' ELSE 'EXPIRED' END, 1, 'EUR', 0,
       now() - interval '1 d', now() + CASE WHEN i % 2 = 0 THEN interval '1 h' ELSE interval '-1 h' END,
       CASE WHEN i % 2 = 1 THEN now() END
FROM generate_series(1, 40000) AS i;
SELECT cmp_ok(rows_read('reservation', 'SELECT tranche.expire_due(1000)'), '<', 40::bigint, 'a table not analyzed');
SELECT is(state(20), 'EXPIRED');
ANALYZE tranche.reservation;
SELECT cmp_ok(rows_read('reservation', 'SELECT tranche.expire_due(1000)'), '<', 40::bigint, 'a table analyzed');
SELECT * FROM finish();
