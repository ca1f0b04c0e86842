\ir helpers.psql
SELECT no_plan();

SELECT sku('tv', 10, 2, 2);
SELECT holder('tv', 10) AS node \gset
SELECT is(outcomes(:node, true, uids(1, 2, 3, 4, 5, 6), '{tv,tv,tv,tv,tv,tv}', '{u1,u2,u3,u4,u5,u6}', '{1,1,1,1,2,1}'),
          '{CREATED,CREATED,CREATED,CREATED,CREATED,CREATED}');

-- Payments that are not late.
SELECT is(pay_late(99), 'NOT_FOUND f');
SELECT is(pay_late(1, 'pay-1'), 'DONE f CONFIRMED', 'still pending');
SELECT is(pay_late(1, 'pay-1'), 'REPLAYED f CONFIRMED');
SELECT make_due(2, 3, 5, 6);
SELECT is(pay_late(2, 'pay-2'), 'DONE f CONFIRMED', 'overdue, and not expired yet');
SELECT is_empty('SELECT FROM tranche.late_payment');
SELECT is(expire(), '3 false');
SELECT is(pay_late(3, 'late', 501), 'PAYMENT_MISMATCH f EXPIRED');
SELECT is(pay_late(3, 'late', 500, 'USD'), 'PAYMENT_MISMATCH f EXPIRED');
SELECT is_empty('SELECT FROM tranche.late_payment', 'a payment that does not match is not recorded');

-- Another unit, out of the pool.
SELECT version('tv') AS v, (SELECT count(*) FROM tranche.reservation) AS rows \gset
UPDATE tranche.sku SET units_returned = false;
SELECT is(slices('tv'), format('0:4 %s:3', :node));
SELECT is(pay_late(3), 'REBOOKED f EXPIRED -> u3 1 CONFIRMED 2');
SELECT is(slices('tv'), format('0:3 %s:3', :node));
SELECT is(version('tv'), :v + 1::bigint);
SELECT results_eq($$ SELECT sku_id FROM tranche.list_returned_skus('', 9) $$, $$ VALUES ('tv') $$, 'to be announced again');
SELECT results_eq($$ SELECT n.sku_id COLLATE "default", n.user_id COLLATE "default", n.quantity, n.ordinal, n.state,
                            n.amount_minor, n.currency, n.incarnation_id, n.payment_reference, n.revision, l.outcome,
                            l.payment_reference, l.sku_id COLLATE "default", l.amount_minor, l.currency, l.refunded_at
                     FROM tranche.late_payment l JOIN tranche.reservation n ON n.reservation_id = l.rebooked_as
                     WHERE l.reservation_id = uid(3) AND n.rebooked_from = uid(3) $$,
                  $$ VALUES ('tv', 'u3', 1, 1, 'CONFIRMED', 500::bigint, 'EUR', 0::bigint, 'late', 2, 'REBOOKED', 'late',
                             'tv', 500::bigint, 'EUR', NULL::timestamptz) $$);
SELECT results_eq($$ SELECT o.kind, o.revision, o.payload - 'occurred_at' FROM tranche.outbox o
                     JOIN tranche.late_payment l ON l.rebooked_as = o.reservation_id $$,
                  $$ SELECT 'reservation.rebooked', 2,
                       jsonb_build_object('kind', 'reservation.rebooked', 'reservation_id', rebooked_as, 'revision', 2,
                         'sku_id', 'tv', 'user_id', 'u3', 'quantity', 1, 'amount_minor', 500, 'currency', 'EUR',
                         'state', 'CONFIRMED', 'payment_reference', 'late', 'rebooked_from', uid(3))
                     FROM tranche.late_payment $$);
SELECT is(pay_late(3), 'REBOOKED t EXPIRED -> u3 1 CONFIRMED 2', 'a repeat');
SELECT is((SELECT count(*) FROM tranche.reservation), :rows + 1::bigint, '... books nothing more');
SELECT is(messages(3), '3:reservation.expired:2', '... and says nothing more');
-- The buyer paid twice for one hold: the second payment books nothing, although the limit would allow it.
SELECT is(pay_late(3, 'again'), 'PAID_UNFULFILLED f EXPIRED -> u3 1 CONFIRMED 2', 'what the first one has bought');
SELECT results_eq($$ SELECT kind, payload->>'payment_reference', payload->>'state', revision FROM tranche.outbox
                     WHERE reservation_id = uid(3) AND kind <> 'reservation.expired' $$,
                  $$ VALUES ('payment.refund_requested', 'again', 'EXPIRED', 3) $$);
SELECT is(pay_late(3, 'again'), 'PAID_UNFULFILLED t EXPIRED -> u3 1 CONFIRMED 2');
SELECT is(messages(3), '3:reservation.expired:2 3:payment.refund_requested:3');
SELECT conserved();

-- Cancelled, or confirmed by another payment: recorded, and to be refunded.
SELECT is(cancel(uids(4)), '{"DONE CANCELLED 2"}');
SELECT is(pay_late(4), 'STATE f CANCELLED');
SELECT is(pay_late(4), 'STATE t CANCELLED');
SELECT is(pay_late(1, 'pay-1b'), 'STATE f CONFIRMED');
SELECT is(pay_late(1, 'pay-1b'), 'STATE t CONFIRMED');
SELECT is(messages(4, 1), '1:reservation.confirmed:2 1:payment.refund_requested:3 '
                          '4:reservation.cancelled:2 4:payment.refund_requested:3');
SELECT is((SELECT payment_reference FROM tranche.find_reservations(uids(1))), 'pay-1', 'who has paid first, has paid');
SELECT results_eq($$ SELECT outcome, count(*) FROM tranche.late_payment GROUP BY 1 ORDER BY 1 $$,
                  $$ VALUES ('PAID_UNFULFILLED', 3::bigint), ('REBOOKED', 1) $$);

-- Out of several slots, the fullest first, when the pool has too little.
SELECT is(slices('tv'), format('0:4 %s:3', :node));
SELECT tranche.move_units('tv', ARRAY[:node], ARRAY[4], NULL, 'test');
SELECT outcomes(:node, true, uids(31, 32), '{tv,tv}', '{x,y}', '{2,2}');
SELECT results_eq($$ SELECT remaining FROM tranche.stock_slot WHERE slot_no > 0 ORDER BY remaining DESC $$,
                  $$ VALUES (3::bigint), (0) $$);
SELECT is(outcomes(:node, true, uids(33), '{tv}', '{z}', '{1}'), '{CREATED}');
UPDATE tranche.stock_slot SET remaining = 1, allotted = allotted - remaining + 1 WHERE slot_no > 0;
SELECT conserved();
SELECT version('tv') AS v \gset
SELECT is(pay_late(5, 'late', 1000), 'REBOOKED f EXPIRED -> u5 2 CONFIRMED 2');
SELECT results_eq($$ SELECT remaining, version FROM tranche.stock_slot WHERE slot_no > 0 $$,
                  format($$ VALUES (0::bigint, %1$s::bigint), (0, %1$s) $$, :v + 1));
SELECT conserved();

-- Nothing is left.
SELECT is(pay_late(6), 'PAID_UNFULFILLED f EXPIRED');
SELECT is(messages(6), '6:reservation.expired:2 6:payment.refund_requested:3');
SELECT tranche.add_stock('tv', 1, 'test');
SELECT is(pay_late(6), 'PAID_UNFULFILLED t EXPIRED', 'decided once');
SELECT is((SELECT unsold FROM tranche.list_skus('', 1, 'tv')), 1::bigint);

-- The buyer's limit: live reservations count.
SELECT sku('one', 5), sku('two', 5, 2), sku('closed', 5), sku('over', 5);
SELECT tranche.move_units(s, ARRAY[:node], ARRAY[4], NULL, 'test') FROM unnest(ARRAY['one', 'two', 'closed', 'over']) AS s;
SELECT is(outcomes(:node, true, uids(11, 12, 13, 14), '{one,two,closed,over}', '{u,u,u,u}', '{1,2,1,1}'),
          '{CREATED,CREATED,CREATED,CREATED}');
SELECT make_due(11, 12, 13, 14);
SELECT is(expire(), '4 false');
SELECT is(outcomes(:node, true, uids(21, 22), '{one,two}', '{u,u}', '{1,1}'), '{CREATED,CREATED}');
SELECT is(pay_late(11), 'PAID_UNFULFILLED f EXPIRED');
SELECT is(pay_late(12, 'late', 1000), 'PAID_UNFULFILLED f EXPIRED', '2 and 1 are more than 2');
SELECT is(cancel(uids(22)), '{"DONE CANCELLED 2"}');
SELECT is(pay_late(12, 'next', 1000), 'REBOOKED f EXPIRED -> u 2 CONFIRMED 2');

-- A closed SKU books no more; one whose sale is merely over does.
SELECT tranche.close_sku('closed', 'test');
UPDATE tranche.sku SET closes_at = now() - interval '1 s' WHERE sku_id = 'over';
SELECT is(pay_late(13), 'PAID_UNFULFILLED f EXPIRED');
SELECT is(pay_late(14), 'REBOOKED f EXPIRED -> u 1 CONFIRMED 2');
SELECT conserved();

-- A SKU on its way to another shard.
SELECT move_sku('one', 'LEAVING');
SELECT is(pay_late(11, 'more'), 'MOVING f');
SELECT is(pay_late(21, 'more'), 'MOVING f');
SELECT move_sku('one', 'GONE');
SELECT is(pay_late(11, 'more'), 'NOT_FOUND f');
SELECT move_sku('one', 'HERE');
SELECT is(cancel(uids(21)), '{"DONE CANCELLED 2"}');
SELECT is(pay_late(11, 'more'), 'REBOOKED f EXPIRED -> u 1 CONFIRMED 2');
SELECT conserved();

-- After retention. 11 was rebooked, 4 is CANCELLED, 1 is CONFIRMED by pay-1, 13 EXPIRED and unfulfilled, 41 EXPIRED.
SELECT sku('old', 5);
SELECT tranche.move_units('old', ARRAY[:node], ARRAY[4], NULL, 'test');
SELECT is(outcomes(:node, true, uids(41), '{old}', '{u}', '{1}'), '{CREATED}');
SELECT make_due(41);
SELECT is(expire(), '1 false');
DELETE FROM tranche.outbox;
SELECT tranche.close_sku(sku_id, 'test') FROM tranche.sku;
UPDATE tranche.reservation SET created_at = created_at - interval '3 days', finished_at = finished_at - interval '2 days';
SELECT cmp_ok(tranche.retire_reservations(86400, 1000, true), '>', 0::bigint);
SELECT is((SELECT count(*) FROM tranche.reservation WHERE reservation_id = ANY (uids(1, 4, 11, 13, 41))), 0::bigint);
SELECT conserved();
SELECT is(pay_late(41, 'pay', 501), 'PAYMENT_MISMATCH f EXPIRED');
SELECT is(pay_late(41, 'pay'), 'PAID_UNFULFILLED f EXPIRED', 'there are units, but not after so long');
SELECT is(pay_late(41, 'pay'), 'PAID_UNFULFILLED t EXPIRED');
SELECT is(pay_late(11, 'more'), 'REBOOKED t EXPIRED -> u 1 CONFIRMED 2', 'decided before');
SELECT is(pay_late(13), 'PAID_UNFULFILLED t EXPIRED');
SELECT is(pay_late(4), 'STATE t CANCELLED');
SELECT is(pay_late(4, 'new'), 'STATE f CANCELLED');
SELECT is(pay_late(1, 'pay-1'), 'REPLAYED f CONFIRMED');
SELECT is(pay_late(1, 'new'), 'STATE f CONFIRMED');
SELECT is(messages(1, 4, 41), '1:payment.refund_requested:4 4:payment.refund_requested:4 41:payment.refund_requested:3');
SELECT results_eq($$ SELECT o.payload - 'occurred_at' - 'expires_at' FROM tranche.outbox o WHERE reservation_id = uid(41) $$,
                  $$ SELECT jsonb_build_object('kind', 'payment.refund_requested', 'reservation_id', uid(41), 'revision', 3,
                       'sku_id', 'old', 'user_id', 'u', 'quantity', 1, 'amount_minor', 500, 'currency', 'EUR',
                       'state', 'EXPIRED', 'payment_reference', 'pay') $$);
SELECT results_eq($$ SELECT outcome, sku_id COLLATE "default", amount_minor, currency, rebooked_as FROM tranche.late_payment
                     WHERE reservation_id = uid(41) $$,
                  $$ VALUES ('PAID_UNFULFILLED', 'old', 500::bigint, 'EUR', NULL::uuid) $$);
SELECT is((SELECT revision FROM tranche.reservation_archive WHERE reservation_id = uid(41)), 3);
SELECT conserved();
SELECT move_sku('old', 'LEAVING');
SELECT is(pay_late(41, 'pay'), 'MOVING f');
SELECT move_sku('old', 'GONE');
SELECT is(pay_late(41, 'pay'), 'NOT_FOUND f');
SELECT move_sku('old', 'HERE');
-- Dropped, not archived: only the decision is known. The same holds on a shard to which the SKU has moved.
DELETE FROM tranche.reservation_archive WHERE reservation_id IN (uid(41), uid(13));
SELECT is(pay_late(41, 'pay'), 'PAID_UNFULFILLED t');
SELECT is(pay_late(41, 'new'), 'NOT_FOUND f');
SELECT conserved();
SELECT * FROM finish();
