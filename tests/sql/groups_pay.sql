\ir helpers.psql
\ir group_helpers.psql
SELECT no_plan();

SELECT sku('tv', 1000, 3), sku('radio', 100);
SELECT offer('tv'), offer('radio');
SELECT holder('tv', 500) AS node \gset
SELECT tranche.move_units('radio', ARRAY[:node], ARRAY[50], NULL, 'test');
SELECT is(joins(:node, true, '{1,2,3,4,5}', '{tv,tv,tv,tv,tv}', '{u1,u2,u3,u4,u5}', '{1,1,1,1,0}', '{trio,trio,trio,trio,NULL}'),
          '{CREATED,CREATED,CREATED,CREATED,CREATED}');
SELECT slices('tv') AS before, version('tv') AS v \gset

-- The procedures of other reservations leave members to those of groups.
SELECT is(confirm(uids(1, 5, 99), 'p'), '{GROUP,"DONE CONFIRMED 2",NOT_FOUND}');
SELECT is(cancel(uids(5, 2)), '{"STATE CONFIRMED 2",GROUP}');
SELECT is(extend(3, 1), 'GROUP');
SELECT is((SELECT array_agg(outcome ORDER BY idx) FROM tranche.confirm_reservations(uids(1, 99), '{p,p}', '{400,400}', '{EUR,EUR}', false)),
          '{GROUP,NOT_FOUND}');
SELECT results_eq($$ SELECT state, revision, expires_at - created_at FROM tranche.reservation WHERE group_id IS NOT NULL $$,
                  $$ VALUES ('PENDING', 1, interval '600 s'), ('PENDING', 1, interval '600 s'), ('PENDING', 1, interval '600 s'),
                            ('PENDING', 1, interval '600 s') $$);
SELECT is(messages(1, 2, 3, 4), NULL);

-- A seat: the reservation waits for its group.
SELECT results_eq($$ SELECT idx, outcome, bound, reservation_id, sku_id COLLATE "default", user_id COLLATE "default", quantity, state,
                            amount_minor, currency, payment_reference, revision, finished_us
                     FROM tranche.pay_group_seats(uids(2), '{pay-2}', '{400}', '{EUR}') $$,
                  $$ VALUES (1, 'DONE', NULL::bigint, uid(2), 'tv', 'u2', 1, 'PENDING', 400::bigint, 'EUR', NULL::text, 2, NULL::bigint) $$);
SELECT is(group_is(1), 'FORMING 1/3 2');
SELECT is(members(1), 'u2 1 pay-2 PENDING, u1 PENDING, u3 PENDING, u4 PENDING');
SELECT is((SELECT r.expires_at = g.deadline_at FROM tranche.reservation r JOIN tranche.group_buy g ON g.group_id = r.group_id
           WHERE r.reservation_id = uid(2)), true, 'its hold does not lapse before the group is decided');
SELECT results_eq($$ SELECT o.payload - 'occurred_at', (o.payload->>'occurred_at')::timestamptz = m.paid_at
                     FROM tranche.outbox o JOIN tranche.group_member m ON m.reservation_id = o.reservation_id
                     WHERE o.reservation_id = uid(2) $$,
                  $$ SELECT jsonb_build_object('kind', 'group.seat_taken', 'reservation_id', uid(2), 'revision', 2, 'sku_id', 'tv',
                       'user_id', 'u2', 'quantity', 1, 'amount_minor', 400, 'currency', 'EUR', 'state', 'PENDING',
                       'payment_reference', 'pay-2', 'group_id', gid(1),
                       'expires_at', to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')), true
                     FROM tranche.reservation WHERE reservation_id = uid(2) $$);
SELECT is((SELECT payload ? 'group_id' FROM tranche.outbox WHERE reservation_id = uid(5)), false, 'others have no such member');
SELECT is(slices('tv') || version('tv'), :'before' || :v, 'no unit moves, and no version');

-- Repeats and conflicts change nothing.
SELECT is(pay('{2}'), '{"REPLAYED PENDING 2"}');
SELECT is(pay('{2}', p_suffix => 'b'), '{"STATE PENDING 2"}', 'another payment has the seat');
SELECT is(pay('{1}', p_amount => 500), '{"PAYMENT_MISMATCH PENDING 1"}', 'the SKU''s price is not the offer''s');
SELECT is((SELECT outcome FROM tranche.pay_group_seats(uids(1), '{p}', '{400}', '{USD}')), 'PAYMENT_MISMATCH');
SELECT is(pay('{5,99}'), '{NOT_FOUND,NOT_FOUND}', 'no member, and nothing at all');
SELECT throws_ok($$ SELECT pay('{1,1}') $$, '22023');
SELECT is(pay('{}'), NULL);
SELECT throws_ok($$ SELECT pay('{1}', p_suffix => repeat('x', 128)) $$, '23514', NULL, 'a reference that is too long');
SELECT is(group_is(1), 'FORMING 1/3 2');

-- The last seat confirms all, each with its own payment. Who comes later has none.
SELECT is(pay('{3,1,4}'), '{"DONE CONFIRMED 2","DONE CONFIRMED 2","GROUP_OVER PENDING 1"}', 'in the order of the batch');
SELECT is(group_is(1), 'FILLED 3/3 3 unsettled');
SELECT is(members(1), 'u2 1 pay-2 CONFIRMED, u3 2 pay-3 CONFIRMED, u1 3 pay-1 CONFIRMED, u4 PENDING');
SELECT is((SELECT bool_and(r.payment_reference = m.payment_reference AND r.finished_at = g.finished_at)
           FROM tranche.reservation r JOIN tranche.group_member m ON m.reservation_id = r.reservation_id AND m.seat_no IS NOT NULL
           JOIN tranche.group_buy g ON g.group_id = m.group_id), true);
SELECT is(messages(1, 2, 3, 4), '1:reservation.confirmed:2 2:group.seat_taken:2 2:reservation.confirmed:3 3:reservation.confirmed:2');
SELECT is((SELECT payload->>'payment_reference' || (payload->>'group_id') FROM tranche.outbox
           WHERE reservation_id = uid(2) AND revision = 3), 'pay-2' || gid(1));
SELECT is(pay('{1,2,4}'), '{"REPLAYED CONFIRMED 2","REPLAYED CONFIRMED 3","GROUP_OVER PENDING 1"}');
SELECT is(pay('{1}', p_suffix => 'b'), '{"STATE CONFIRMED 2"}');
SELECT is(slices('tv') || version('tv'), :'before' || :v);
SELECT conserved();

-- The late payment of who has no seat: the hold ends, its unit is sold again, and the refund is asked for.
SELECT is(pay_late_seat(4), 'PAID_UNFULFILLED f CANCELLED');
SELECT is((SELECT cancel_reason FROM tranche.reservation WHERE reservation_id = uid(4)), 'GROUP_FULL');
SELECT is(messages(4), '4:reservation.cancelled:2 4:payment.refund_requested:3');
SELECT results_eq($$ SELECT outcome, payment_reference, amount_minor FROM tranche.late_payment WHERE reservation_id = uid(4) $$,
                  $$ VALUES ('PAID_UNFULFILLED', 'pay-4', 400::bigint) $$);
SELECT is((SELECT payload->>'payment_reference' || (payload->>'group_id') FROM tranche.outbox
           WHERE reservation_id = uid(4) AND revision = 3), 'pay-4' || gid(1));
SELECT is(slices('tv'), format('0:501 %s:495', :node));
SELECT is(pay_late_seat(4), 'PAID_UNFULFILLED t CANCELLED', 'a repeat');
SELECT is(pay_late_seat(4, 'b'), 'PAID_UNFULFILLED f CANCELLED', 'another payment for it');
SELECT is(messages(4), '4:reservation.cancelled:2 4:payment.refund_requested:3 4:payment.refund_requested:4');
SELECT is(pay_late_seat(1), 'REPLAYED f CONFIRMED');
SELECT is(pay_late_seat(1, 'b'), 'STATE f CONFIRMED');
SELECT is(pay_late_seat(1, 'b'), 'STATE t CONFIRMED');
SELECT is(messages(1), '1:reservation.confirmed:2 1:payment.refund_requested:3');
SELECT is(pay_late(1, 'pay-1', 500), 'PAYMENT_MISMATCH f CONFIRMED');
SELECT conserved();

-- A late payment that finds a seat takes it. A second one for the same hold does not.
SELECT is(joins(:node, true, '{11,12,13,14}', '{tv,tv,tv,tv}', '{u1,u2,u3,u4}', '{2,2,2,2}', '{trio,trio,trio,trio}'),
          '{CREATED,CREATED,CREATED,CREATED}');
SELECT is(pay_late_seat(11), 'DONE f PENDING');
SELECT is(pay_late_seat(11), 'REPLAYED f PENDING');
SELECT is(pay_late_seat(11, 'b'), 'STATE f PENDING');
SELECT is(pay_late_seat(11, 'b'), 'STATE t PENDING');
SELECT is(messages(11), '11:group.seat_taken:2 11:payment.refund_requested:3');
SELECT is(members(2), 'u1 1 pay-11 PENDING, u2 PENDING, u3 PENDING, u4 PENDING');

-- The lowest free seat, also after somebody has left.
SELECT is(pay('{12}'), '{"DONE PENDING 2"}');
UPDATE tranche.group_member SET seat_no = NULL, payment_reference = NULL, paid_at = NULL WHERE reservation_id = uid(11);
UPDATE tranche.reservation SET state = 'CANCELLED', finished_at = now(), cancel_reason = 'changed my mind' WHERE reservation_id = uid(11);
UPDATE tranche.group_buy SET seats_taken = 1 WHERE group_id = gid(2);
UPDATE tranche.stock_slot SET remaining = remaining + 1, allotted = allotted + 1 WHERE sku_id = 'tv' AND slot_no = 0;
SELECT is(pay('{11}'), '{"STATE CANCELLED 3"}');
SELECT is(pay_late_seat(11, 'c'), 'STATE f CANCELLED');
SELECT is(pay('{13}'), '{"DONE PENDING 2"}');
SELECT is(members(2), 'u3 1 pay-13 PENDING, u2 2 pay-12 PENDING, u1 CANCELLED, u4 PENDING');

-- A hold whose time is over is paid like any other until it is expired.
SELECT make_due(14);
SELECT is(pay('{14}'), '{"DONE CONFIRMED 2"}');
SELECT is(group_is(2), 'FILLED 3/3 5 unsettled');
SELECT conserved();

-- Expired: nothing is booked instead.
SELECT is(joins(:node, true, '{21,22}', '{tv,tv}', '{v1,v2}', '{3,3}', '{trio,trio}'), '{CREATED,CREATED}');
SELECT make_due(21);
UPDATE tranche.reservation SET state = 'EXPIRED', finished_at = now(), revision = 2 WHERE reservation_id = uid(21);
UPDATE tranche.stock_slot SET remaining = remaining + 1, allotted = allotted + 1 WHERE sku_id = 'tv' AND slot_no = 0;
SELECT is(pay('{21}'), '{"STATE EXPIRED 2"}');
SELECT is(pay_late_seat(21), 'PAID_UNFULFILLED f EXPIRED');
SELECT is(pay_late_seat(21), 'PAID_UNFULFILLED t EXPIRED');
SELECT is(messages(21), '21:payment.refund_requested:3');
SELECT is(group_is(3), 'FORMING 0/3 1');

-- The deadline has passed, whether somebody has ended the group or not.
SELECT end_time(3);
SELECT is(pay('{22}'), '{"GROUP_OVER PENDING 1"}');
SELECT slices('tv') AS before \gset
SELECT is(pay_late_seat(22), 'PAID_UNFULFILLED f CANCELLED');
SELECT is((SELECT cancel_reason FROM tranche.reservation WHERE reservation_id = uid(22)), 'GROUP_OVER');
SELECT isnt(slices('tv'), :'before');
SELECT is(group_is(3), 'FORMING 0/3 1');
SELECT is(joins(:node, true, '{31,32,33}', '{tv,tv,tv}', '{w1,w2,w3}', '{4,4,4}', '{trio,trio,trio}'), '{CREATED,CREATED,CREATED}');
SELECT is(pay('{31}'), '{"DONE PENDING 2"}');
UPDATE tranche.group_buy SET state = 'FAILED', finished_at = now(), unsettled = true WHERE group_id = gid(4);
SELECT is(pay('{31,32}'), '{"REPLAYED PENDING 2","GROUP_OVER PENDING 1"}');
UPDATE tranche.reservation SET state = 'CANCELLED', finished_at = now(), cancel_reason = 'GROUP_FAILED' WHERE reservation_id = ANY (uids(31, 33));
UPDATE tranche.stock_slot SET remaining = remaining + 2, allotted = allotted + 2 WHERE sku_id = 'tv' AND slot_no = 0;
SELECT tranche.request_refund(uid(31), 'pay-31', 'tv', 400, 'EUR');
SELECT is(pay('{31,33}'), '{"STATE CANCELLED 3","STATE CANCELLED 1"}');
SELECT is(pay_late_seat(31), 'PAID_UNFULFILLED t CANCELLED', 'its group has ended it');
SELECT is(pay_late_seat(33), 'PAID_UNFULFILLED f CANCELLED');
SELECT conserved();

-- Several groups, of several SKUs, at once. Of retired groups nothing is left to pay for.
SELECT is(joins(:node, true, '{41,42,43,44,45,46,47}', '{tv,radio,tv,radio,tv,radio,tv}', '{x1,x2,x3,x4,x5,x6,x7}', '{5,6,5,6,5,6,7}',
                '{trio,trio,trio,trio,trio,trio,trio}'), '{CREATED,CREATED,CREATED,CREATED,CREATED,CREATED,CREATED}');
DELETE FROM tranche.group_buy WHERE group_id = gid(7);
DELETE FROM tranche.group_member WHERE group_id = gid(7);
SELECT is(pay('{47,46,45,44,43,42}', false),
          '{"GROUP_OVER PENDING 1","DONE CONFIRMED 2","DONE PENDING 2","DONE CONFIRMED 2","DONE PENDING 2","DONE CONFIRMED 2"}');
SELECT is(members(5) || '; ' || members(6),
          'x5 1 pay-45 PENDING, x3 2 pay-43 PENDING, x1 PENDING; x6 1 pay-46 CONFIRMED, x4 2 pay-44 CONFIRMED, x2 3 pay-42 CONFIRMED');
SELECT is(group_is(5) || '; ' || group_is(6), 'FORMING 2/3 2; FILLED 3/3 2 unsettled');
SELECT is(pay_late_seat(47), 'PAID_UNFULFILLED f CANCELLED');

-- The messages carry the traces of the calls that made the changes.
SELECT is((SELECT outcome FROM tranche.pay_group_seats(uids(41), '{pay-41}', '{400}', '{EUR}', true, '{trace-41}')), 'DONE');
SELECT results_eq($$ SELECT num(reservation_id), kind, trace FROM tranche.outbox WHERE reservation_id = ANY (uids(41, 43)) ORDER BY 1, revision $$,
                  $$ VALUES (41, 'reservation.confirmed', 'trace-41'), (43, 'group.seat_taken', NULL), (43, 'reservation.confirmed', NULL) $$);

-- A SKU on its way to another shard.
SELECT is(joins(:node, true, '{51,52}', '{tv,tv}', '{y1,y2}', '{8,8}', '{trio,trio}'), '{CREATED,CREATED}');
SELECT move_sku('tv', 'LEAVING');
SELECT is(confirm(uids(51)), '{GROUP}');
SELECT is(pay('{51,42}'), '{MOVING,"REPLAYED CONFIRMED 2"}', 'others go on');
SELECT is(pay_late_seat(51), 'MOVING f');
SELECT move_sku('tv', 'GONE');
SELECT is(pay('{51}'), '{NOT_FOUND}');
SELECT is(pay_late_seat(51), 'NOT_FOUND f');
SELECT move_sku('tv', 'HERE');
SELECT is(pay('{51}'), '{"DONE PENDING 2"}');
SELECT conserved();

-- The largest groups: what a payment reads does not grow with their number.
SELECT sku('big', 1000), offer('big', 'hundred', 100), tranche.move_units('big', ARRAY[:node], ARRAY[200], NULL, 'test');
SELECT is((SELECT array_agg(DISTINCT o) FROM unnest(joins(:node, true, (SELECT array_agg(1000 + n) FROM generate_series(1, 100) AS n),
                 array_fill('big'::text, ARRAY[100]), (SELECT array_agg('b' || n) FROM generate_series(1, 100) AS n),
                 array_fill(100, ARRAY[100]), array_fill('hundred'::text, ARRAY[100]))) AS o), '{CREATED}');
SELECT is((SELECT array_agg(DISTINCT o) FROM unnest(pay((SELECT array_agg(1000 + n) FROM generate_series(1, 99) AS n))) AS o), '{DONE PENDING 2}');
INSERT INTO tranche.group_buy (group_id, sku_id, offer_id, seats, opened_by, created_at, deadline_at)
SELECT gid(2000 + n), 'big', 'hundred', 100, 'opener' || n, now(), now() + interval '1 h' FROM generate_series(1, 2000) AS n;
INSERT INTO tranche.group_member (group_id, user_id, reservation_id, joined_at)
SELECT gid(2000 + n), 'opener' || n, gen_random_uuid(), now() FROM generate_series(1, 2000) AS n;
SELECT cmp_ok(rows_read('group_buy', $$ SELECT pay('{1100}', p_amount => 399) $$), '<', 20::bigint);
SELECT cmp_ok(rows_read('group_member', $$ SELECT pay('{1100}') $$), '<', 1000::bigint);
SELECT is(group_is(100), 'FILLED 100/100 3 unsettled');
SELECT is((SELECT count(*) FROM tranche.reservation WHERE group_id = gid(100) AND state = 'CONFIRMED'), 100::bigint);
SELECT conserved();
SELECT * FROM finish();
