\ir helpers.psql
SELECT no_plan();

-- Holds of 60 s, three extensions, in all 240 s.
SELECT sku('tv', 10);
SELECT holder('tv', 10) AS node \gset
SELECT is(outcomes(:node, true, uids(1, 2, 3, 4), '{tv,tv,tv,tv}', '{u1,u2,u3,u4}', '{1,1,1,1}'),
          '{CREATED,CREATED,CREATED,CREATED}');
SELECT results_eq($$ SELECT idx, outcome, bound, reservation_id, sku_id COLLATE "default", user_id COLLATE "default", state,
                            expires_us - created_us, finished_us, extensions, revision
                     FROM tranche.extend_reservations(uids(1), '{1}', '{90}') $$,
                  $$ VALUES (1, 'DONE', NULL::bigint, uid(1), 'tv', 'u1', 'PENDING', 150000000::bigint, NULL::bigint, 1, 2) $$);
SELECT results_eq($$ SELECT payload - 'occurred_at' FROM tranche.outbox $$,
                  $$ SELECT jsonb_build_object('kind', 'reservation.extended', 'reservation_id', uid(1), 'revision', 2,
                       'sku_id', 'tv', 'user_id', 'u1', 'quantity', 1, 'amount_minor', 500, 'currency', 'EUR',
                       'state', 'PENDING', 'expires_at', to_char(expires_at AT TIME ZONE 'UTC',
                                                                 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
                     FROM tranche.reservation WHERE reservation_id = uid(1) $$);
SELECT is(extend(1, 1), 'REPLAYED PENDING 1');
SELECT is(extend(1, 3), 'OUT_OF_ORDER PENDING 1');
SELECT is(extend(1, 2), 'DONE PENDING 2');
SELECT is(extend(1, 1, 1000000), 'REPLAYED PENDING 2', 'an earlier one, whatever it says');
SELECT is(extend(1, 3, 31), 'HOLD_TOO_LONG 240 PENDING 2');
SELECT is(extend(1, 3, 9223372036854775807), 'HOLD_TOO_LONG 240 PENDING 2');
SELECT is(extend(1, 3, 30), 'DONE PENDING 3', 'to the second');
SELECT is(extend(1, 4, 1), 'TOO_MANY_EXTENSIONS 3 PENDING 3');
SELECT results_eq($$ SELECT expires_at - created_at, revision FROM tranche.reservation WHERE reservation_id = uid(1) $$,
                  $$ VALUES (interval '240 s', 4) $$);
SELECT is(messages(1), '1:reservation.extended:2 1:reservation.extended:3 1:reservation.extended:4');
SELECT throws_ok('SELECT extend(2, 0)', '22023');
SELECT throws_ok('SELECT extend(2, 1, 0)', '22023');
SELECT throws_ok($$ SELECT * FROM tranche.extend_reservations(uids(2, 2), '{1,2}', '{1,1}') $$, '22023', NULL, 'a repeated id');
SELECT is_empty($$ SELECT * FROM tranche.extend_reservations('{}', '{}', '{}') $$, 'an empty batch');

-- Only a live hold.
UPDATE tranche.reservation SET created_at = created_at - interval '61 s', expires_at = expires_at - interval '61 s'
WHERE reservation_id = uid(2);
SELECT is(extend(2, 1), 'STATE PENDING 0', 'overdue, and not expired yet');
SELECT is(confirm(uids(3)), '{"DONE CONFIRMED 2"}');
SELECT is(extend(3, 1), 'STATE CONFIRMED 0');
SELECT is(confirm(uids(1)), '{"DONE CONFIRMED 5"}');
SELECT is(extend(1, 3), 'REPLAYED CONFIRMED 3', 'it was made, whatever came later');
SELECT is(cancel(uids(4)), '{"DONE CANCELLED 2"}');
SELECT is(extend(4, 1), 'STATE CANCELLED 0');
SELECT is(extend(99, 1), 'NOT_FOUND');

-- The SKU's own bounds.
SELECT tranche.create_sku('none', 't', 1, 'EUR', 5, 1, 60, NULL, NULL, 1, 'test', true, 0);
SELECT tranche.create_sku('short', 't', 1, 'EUR', 5, 1, 60, NULL, NULL, 1, 'test', true, 100, 61);
SELECT tranche.move_units(s, ARRAY[:node], ARRAY[5], NULL, 'test') FROM unnest(ARRAY['none', 'short']) AS s;
SELECT is(outcomes(:node, true, uids(10, 11, 12), '{none,short,short}', '{u1,u1,u2}', '{1,1,1}'), '{CREATED,CREATED,CREATED}');
SELECT is(extend(10, 1), 'TOO_MANY_EXTENSIONS 0 PENDING 0');
SELECT is(extend(11, 1, 2), 'HOLD_TOO_LONG 61 PENDING 0');
SELECT is(extend(11, 1, 1), 'DONE PENDING 1');
SELECT is((SELECT array_agg(outcome ORDER BY idx)
           FROM tranche.extend_reservations(uids(99, 12, 11, 10), '{1,1,1,1}', '{1,1,1,1}')),
          '{NOT_FOUND,DONE,REPLAYED,TOO_MANY_EXTENSIONS}');

-- An extended hold is due later.
UPDATE tranche.reservation SET expires_at = now() + interval '10 s', created_at = now() - interval '20 s'
WHERE reservation_id = uid(12);
UPDATE tranche.sku SET max_hold_seconds = 3600 WHERE sku_id = 'short';
SELECT is(extend(12, 2, 1000), 'DONE PENDING 2');
SELECT is((SELECT expires_at > now() + interval '900 s' FROM tranche.reservation WHERE reservation_id = uid(12)), true);

-- A SKU on its way to another shard.
SELECT move_sku('short', 'LEAVING');
SELECT is(extend(12, 3), 'MOVING');
SELECT move_sku('short', 'GONE');
SELECT is(extend(12, 3), 'NOT_FOUND', 'GONE');
SELECT move_sku('short', 'ARRIVING');
SELECT is(extend(12, 3), 'NOT_FOUND', 'ARRIVING');
SELECT move_sku('short', 'HERE');
SELECT is(extend(12, 3), 'DONE PENDING 3');
SELECT conserved();
SELECT * FROM finish();
