-- Groups beside what keeps the books: expiry, reminders, retention, payments, and the rules of verify.
\ir helpers.psql
\ir group_end_helpers.psql
\ir retire_helpers.psql
SELECT no_plan();
SELECT sku('tv', 100);
SELECT holder('tv', 90) AS node \gset
SELECT is(offer('tv', 'o', 3) || offer('tv', 'part', 3, 'PARTIAL', 1), 'DONEDONE');
SELECT form(1, 'tv');
SELECT is(join_group(1, :node, 1, 2, 3, 4), 'CREATED');
SELECT pay_seats(1, 2);

-- Whoever has paid is nobody's overdue hold, even while nobody ends the group.
SELECT make_over(1);
SELECT make_due(3);
CREATE FUNCTION due() RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(num(reservation_id)::text, ' ') FROM tranche.due_holds(now(), '-infinity', uid(0), 100)
   WHERE NOT paid $$;
SELECT is(due(), '3');
SELECT is((SELECT overdue FROM tranche.ledger_health(100)), 1::bigint);
SELECT is((SELECT overdue FROM tranche.unpaid_holds('{tv}', 100)), 1::bigint);
SELECT is((SELECT pending FROM tranche.unpaid_holds('{tv}', 100)), 2::bigint);
SELECT results_eq('SELECT expired, more, next_us BETWEEN 1700000000 AND 1800000000 FROM tranche.expire_due(10)',
                  $$ VALUES (1::bigint, false, true) $$, 'the next one is that of 4');
SELECT is(holds(1, 2, 3, 4), '1 PENDING, 2 PENDING, 3 EXPIRED, 4 PENDING');
SELECT is(due(), NULL);

-- Reminders: of holds that lapse, not of paid seats.
UPDATE tranche.reservation SET expires_at = now() + interval '1 minute' WHERE reservation_id IN (uid(1), uid(4));
UPDATE tranche.reservation SET created_at = created_at - interval '1 hour' WHERE reservation_id IN (uid(1), uid(4));
SELECT results_eq('SELECT * FROM tranche.remind_holds(120000000, 10)', 'VALUES (1::bigint, false)');
SELECT is(messages(1, 4), '4:reservation.lapses_soon:2');
-- Paid ones do not stand in the way: a call looks at no more than it may, and the next one goes on after them.
UPDATE tranche.hold_reminder SET at_due = '-infinity';
UPDATE tranche.reservation SET expires_at = now() + interval '50 s' WHERE reservation_id IN (uid(1), uid(2));
SELECT results_eq('SELECT * FROM tranche.remind_holds(120000000, 1)', 'VALUES (0::bigint, true)');
SELECT results_eq('SELECT * FROM tranche.remind_holds(120000000, 1)', 'VALUES (0::bigint, true)');
SELECT results_eq('SELECT * FROM tranche.remind_holds(120000000, 1)', 'VALUES (1::bigint, true)');
SELECT results_eq('SELECT * FROM tranche.remind_holds(120000000, 1)', 'VALUES (0::bigint, false)');
SELECT is(messages(1, 2, 4), '4:reservation.lapses_soon:2 4:reservation.lapses_soon:3');

-- Payments: a seat's is money received, from when it was paid.
UPDATE tranche.group_member SET paid_at = now() - interval '3 days' WHERE reservation_id IN (uid(1), uid(2));
CREATE FUNCTION payments(p_from interval, p_to interval) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(concat_ws(' ', num(reservation_id), kind, state, payment_reference,
                               round((paid_us / 1000000 - extract(epoch FROM now())) / 86400) || ' d'), ', ' ORDER BY nth)
   FROM tranche.export_payments(NULL, (extract(epoch FROM now() + p_from) * 1000000)::bigint,
                                (extract(epoch FROM now() + p_to) * 1000000)::bigint, 100)
        WITH ORDINALITY AS e (reservation_id, kind, sku_id, quantity, state, amount_minor, currency, payment_reference,
                              paid_us, refunded_us, rebooked, archived, order_reference, nth)
   WHERE kind IS NOT NULL $$;
CREATE FUNCTION entries(VARIADIC ns integer[]) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(concat_ws(' ', num(reservation_id), kind, state, payment_reference,
                               round((paid_us / 1000000 - extract(epoch FROM now())) / 86400) || ' d'), ', ' ORDER BY nth)
   FROM tranche.payment_entries(uids(VARIADIC ns))
        WITH ORDINALITY AS e (reservation_id, kind, sku_id, quantity, state, amount_minor, currency, payment_reference,
                              paid_us, refunded_us, rebooked, archived, order_reference, nth) $$;
SELECT is(entries(1, 2, 4), '1 RESERVATION PENDING p1 -3 d, 2 RESERVATION PENDING p2 -3 d, 4 RESERVATION PENDING');
SELECT is(payments('-4 d', '-2 d'), '1 RESERVATION PENDING p1 -3 d, 2 RESERVATION PENDING p2 -3 d');
SELECT is(payments('-1 d', '1 d'), NULL, 'not when the group is decided');

-- The archive keeps the group.
SELECT ended(3, 'EXPIRED');
UPDATE tranche.stock_slot SET allotted = allotted - 1, remaining = remaining - 1 WHERE sku_id = 'tv' AND slot_no = 0;
DELETE FROM tranche.outbox;
SELECT is(retire(), 1::bigint, 'of a group that forms, what has ended alone');
SELECT is((SELECT group_id FROM tranche.reservation_archive WHERE reservation_id = uid(3)), gid(1));
SELECT is((SELECT concat_ws(' ', quantity, reservation_state) FROM tranche.get_group(gid(1), 10) WHERE user_id = 'u3'), '0');
SELECT conserved();

-- The payments of a group that is filled, of one that fails, and of who leaves.
SELECT is(payments('-4 d', '-2 d'), '1 RESERVATION PENDING p1 -3 d, 2 RESERVATION PENDING p2 -3 d', 'beside what is archived');
SELECT is(join_group(1, :node, 5), 'CREATED');
SELECT fill(1, 5, true);
SELECT is(entries(1, 5), '1 RESERVATION CONFIRMED p1 -3 d, 5 RESERVATION CONFIRMED p5 0 d');
SELECT is(payments('-4 d', '-2 d'), '1 RESERVATION CONFIRMED p1 -3 d, 2 RESERVATION CONFIRMED p2 -3 d');
SELECT is(payments('-1 d', '1 d'), '5 RESERVATION CONFIRMED p5 0 d');
SELECT form(2, 'tv');
SELECT is(join_group(2, :node, 21, 22), 'CREATED');
SELECT pay_seats(21, 22);
UPDATE tranche.group_member SET paid_at = now() - interval '3 days' WHERE group_id = gid(2);
SELECT is(leave(22), '{"DONE CANCELLED 4"}');
SELECT make_over(2);
SELECT is(expire_groups(), '0 1 2 false', 'with the one that the filled one has left');
SELECT is(entries(21, 22), '21 RESERVATION CANCELLED, 21 LATE PAID_UNFULFILLED p21 -3 d, '
                           || '22 RESERVATION CANCELLED, 22 LATE PAID_UNFULFILLED p22 -3 d');
SELECT is(payments('-4 d', '-2 d'), '1 RESERVATION CONFIRMED p1 -3 d, 2 RESERVATION CONFIRMED p2 -3 d, '
                                    || '21 RESERVATION CANCELLED, 21 LATE PAID_UNFULFILLED p21 -3 d, '
                                    || '22 RESERVATION CANCELLED, 22 LATE PAID_UNFULFILLED p22 -3 d');
SELECT is((SELECT string_agg(outcome, ' ') FROM tranche.mark_refunded(uids(21), '{p21}', 'alice')), 'DONE');
-- The refund that is still missing is as old as the wish for it.
SELECT results_eq('SELECT refunds, oldest_refund_us < 60000000 FROM tranche.ledger_health(100)', 'VALUES (1::bigint, true)');
-- A confirmed one that is archived.
SELECT ended(5, 'CONFIRMED');
SELECT tranche.close_sku('tv', 'alice');
DELETE FROM tranche.outbox;
UPDATE tranche.group_member SET paid_at = now() - interval '3 days' WHERE reservation_id = uid(5);
UPDATE tranche.reservation SET payment_reference = 'p5' WHERE reservation_id = uid(5);
SELECT is(retire(), 1::bigint);
SELECT is(entries(5), '5 RESERVATION CONFIRMED p5 -3 d');
SELECT is(payments('-4 d', '-2 d'), '1 RESERVATION CONFIRMED p1 -3 d, 2 RESERVATION CONFIRMED p2 -3 d, 5 RESERVATION CONFIRMED p5 -3 d, '
                                    || '21 RESERVATION CANCELLED, 21 LATE PAID_UNFULFILLED p21 -3 d, '
                                    || '22 RESERVATION CANCELLED, 22 LATE PAID_UNFULFILLED p22 -3 d');
SELECT conserved();
-- Of archived members payments are answered as before: those of a hold that its group has ended, and of who has left.
UPDATE tranche.reservation SET created_at = created_at - interval '26 hours', finished_at = finished_at - interval '26 hours'
WHERE reservation_id IN (uid(21), uid(22));
DELETE FROM tranche.outbox;
SELECT is(retire(), 2::bigint);
SELECT is(pay_late(21, 'p21', 400), 'PAID_UNFULFILLED t CANCELLED', 'its refund was asked for');
SELECT is(pay_late(21, 'again', 400), 'PAID_UNFULFILLED f CANCELLED');
SELECT is(pay_late(22, 'again', 400), 'STATE f CANCELLED');
SELECT is(messages(21, 22), '21:payment.refund_requested:5 22:payment.refund_requested:5');
DELETE FROM tranche.outbox;
SELECT conserved();

-- The rules. Each is broken by hand, and found.
CREATE FUNCTION broken(p_damage text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_rules text;
BEGIN
  BEGIN
    EXECUTE p_damage;
    SELECT string_agg(DISTINCT rule, ' ' ORDER BY rule) INTO v_rules FROM tranche.verify_page('', '', 10) WHERE rule LIKE 'group%';
    RAISE EXCEPTION 'undo' USING ERRCODE = 'P0099';
  EXCEPTION WHEN SQLSTATE 'P0099' THEN
    RETURN v_rules;
  END;
END $$;
SELECT sku('radio', 100);
SELECT tranche.move_units('radio', ARRAY[:node], ARRAY[90], NULL, 'test');
SELECT is(offer('radio', 'o', 3) || offer('radio', 'part', 3, 'PARTIAL', 2), 'DONEDONE');
SELECT form(3, 'radio'), form(4, 'radio', 'part'), form(5, 'radio');
SELECT is(join_group(3, :node, 31, 32) || join_group(4, :node, 41, 42, 43) || join_group(5, :node, 51, 52), 'CREATEDCREATEDCREATED');
SELECT pay_seats(31, 41, 42, 51);
SELECT make_over(4, 5);
SELECT is(expire_groups(), '1 1 3 false');
SELECT conserved();
SELECT is(broken('SELECT 1'), NULL);
SELECT is(broken($$ DELETE FROM tranche.group_offer WHERE sku_id = 'radio' AND offer_id = 'o' $$), 'group_offer');
SELECT is(broken($$ UPDATE tranche.group_offer SET seats = 4 WHERE sku_id = 'radio' AND offer_id = 'part' $$), 'group_offer');
SELECT is(broken($$ UPDATE tranche.group_offer SET min_members = 3 WHERE sku_id = 'radio' AND offer_id = 'part' $$), 'group_offer');
SELECT is(broken('UPDATE tranche.group_buy SET seats_taken = 2 WHERE group_id = gid(3)'), 'group_seats');
SELECT is(broken('DELETE FROM tranche.group_member WHERE reservation_id = uid(51)'), 'group_seats');
-- A seat and what it is worth.
SELECT is(broken('UPDATE tranche.reservation SET state = ''CANCELLED'', finished_at = now() WHERE reservation_id = uid(31)'), 'group_payment');
SELECT is(broken('DELETE FROM tranche.reservation WHERE reservation_id = uid(31)'), 'group_payment');
SELECT is(broken('UPDATE tranche.reservation SET payment_reference = ''other'' WHERE reservation_id = uid(41)'), 'group_payment');
SELECT is(broken('DELETE FROM tranche.reservation WHERE reservation_id = uid(41)'), 'group_payment');
SELECT is(broken('DELETE FROM tranche.reservation WHERE reservation_id = uid(41);
                  UPDATE tranche.group_buy SET finished_at = now() - interval ''25 hours'' WHERE group_id = gid(4)'), NULL, 'retired');
SELECT is(broken('DELETE FROM tranche.late_payment WHERE reservation_id = uid(51)'), 'group_payment');
SELECT is(broken('UPDATE tranche.late_payment SET payment_reference = ''other'' WHERE reservation_id = uid(51)'), 'group_payment');
-- A reservation and its membership.
SELECT is(broken('DELETE FROM tranche.group_member WHERE reservation_id = uid(32)'), 'group_member');
SELECT is(broken('UPDATE tranche.group_member SET user_id = ''x'' WHERE reservation_id = uid(32)'), 'group_member');
SELECT is(broken('UPDATE tranche.reservation SET group_id = gid(99) WHERE reservation_id = uid(32)'), 'group_member');
SELECT is(broken('UPDATE tranche.reservation SET group_id = gid(1) WHERE reservation_id = uid(32)'), 'group_member group_settled');
SELECT is(broken('UPDATE tranche.reservation SET state = ''CONFIRMED'', finished_at = now(), payment_reference = ''x''
                  WHERE reservation_id = uid(32)'), 'group_member');
-- One that was forgotten.
SELECT is(broken($$ INSERT INTO tranche.reservation (reservation_id, sku_id, user_id, quantity, ordinal, amount_minor, currency,
                      incarnation_id, created_at, expires_at, group_id)
                    VALUES (uid(99), 'radio', 'u99', 1, 1, 400, 'EUR', 0, now(), now(), gid(5));
                    INSERT INTO tranche.group_member (group_id, user_id, reservation_id, joined_at) VALUES (gid(5), 'u99', uid(99), now()) $$),
          'group_settled');
-- Elsewhere it is not this shard's to say.
SELECT is(broken($$ UPDATE tranche.group_buy SET seats_taken = 2 WHERE group_id = gid(3); SELECT move_sku('radio', 'GONE') $$), NULL);
SELECT * FROM finish();
