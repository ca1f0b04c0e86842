-- export_payments and payment_entries.
\ir helpers.psql
SELECT no_plan();

SELECT sku('tv', 100, 100);
SELECT holder('tv', 50) AS node \gset
SELECT count(*) FROM tranche.commit_reservations(:node, true, uids(1, 2, 3, 4, 5, 6, 7),
                                                 ARRAY['tv', 'tv', 'tv', 'tv', 'tv', 'tv', 'tv'],
                                                 ARRAY['a', 'b', 'c', 'd', 'e', 'f', 'g'], ARRAY[1, 2, 1, 1, 1, 1, 1]);
-- 1, 2 confirmed; 3 pending; 4 cancelled and paid late; 5 expired and paid late: rebooked; 6 archived; 7 cancelled.
SELECT count(*) FROM tranche.confirm_reservations(uids(1, 2, 6), ARRAY['p1', 'p2', 'p6'], ARRAY[500, 1000, 500]::bigint[],
                                                  ARRAY['EUR', 'EUR', 'EUR']);
SELECT count(*) FROM tranche.cancel_reservations(uids(4, 7), ARRAY['', '']);
UPDATE tranche.reservation SET expires_at = now() - interval '1 minute' WHERE reservation_id = uid(5);
SELECT expired FROM tranche.expire_due(10);
SELECT count(*) FROM tranche.confirm_late(uid(4), 'p4', 500, 'EUR');
SELECT count(*) FROM tranche.confirm_late(uid(5), 'p5', 500, 'EUR');
INSERT INTO tranche.reservation_archive (reservation_id, sku_id, user_id, quantity, state, amount_minor, currency,
  incarnation_id, created_at, expires_at, revision, extensions, finished_at, payment_reference, cancel_reason, rebooked_from)
SELECT reservation_id, sku_id, user_id, quantity, state, amount_minor, currency, incarnation_id, created_at, expires_at,
       revision, extensions, finished_at, payment_reference, cancel_reason, rebooked_from
FROM tranche.reservation WHERE reservation_id = uid(6);
DELETE FROM tranche.reservation WHERE reservation_id = uid(6);

-- 'number kind state reference' of each row, in its order; '>' for the cursor.
CREATE FUNCTION exported(p_after uuid DEFAULT NULL, p_limit integer DEFAULT 100,
                         p_from interval DEFAULT interval '-1 hour', p_to interval DEFAULT interval '1 hour')
RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(concat_ws(' ', CASE WHEN kind IS NULL THEN '>' END, right(reservation_id::text, 12)::bigint, kind, state,
                               payment_reference), ', ' ORDER BY nth)
   FROM tranche.export_payments(p_after, (extract(epoch FROM now() + p_from) * 1000000)::bigint,
                                (extract(epoch FROM now() + p_to) * 1000000)::bigint, p_limit)
        WITH ORDINALITY AS e (reservation_id, kind, sku_id, quantity, state, amount_minor, currency, payment_reference,
                              paid_us, refunded_us, rebooked, archived, nth) $$;

SELECT is(exported(), '1 RESERVATION CONFIRMED p1, 2 RESERVATION CONFIRMED p2, 4 RESERVATION CANCELLED, '
                      || '4 LATE PAID_UNFULFILLED p4, 5 RESERVATION EXPIRED, 5 LATE REBOOKED p5, '
                      || '6 RESERVATION CONFIRMED p6', 'neither the pending, nor the cancelled, nor the new one');
SELECT results_eq($$ SELECT sku_id, quantity, amount_minor, currency, abs(paid_us / 1000000 - extract(epoch FROM now())) < 60,
                            refunded_us, rebooked, archived
                     FROM tranche.payment_entries(uids(2, 6)) $$,
                  $$ VALUES ('tv', 2, 1000::bigint, 'EUR', true, NULL::bigint, NULL::uuid, false),
                            ('tv', 1, 500, 'EUR', true, NULL, NULL, true) $$);
SELECT is((SELECT rebooked FROM tranche.payment_entries(uids(5)) WHERE kind = 'LATE'),
          (SELECT reservation_id FROM tranche.reservation WHERE rebooked_from = uid(5)));
SELECT is((SELECT rebooked FROM tranche.payment_entries(ARRAY(SELECT reservation_id FROM tranche.reservation
                                                              WHERE rebooked_from = uid(5)))), uid(5));
SELECT is((SELECT string_agg(concat_ws(' ', num(reservation_id), state), ', ')
           FROM tranche.payment_entries(uids(3, 7, 8, 1))), '1 CONFIRMED, 3 PENDING, 7 CANCELLED', 'whatever their state');
SELECT is_empty($$ SELECT * FROM tranche.payment_entries('{}') $$);

-- The window: both ends belong to it; a payment that is to be refunded is always returned.
SELECT is(exported(p_from => interval '10 minutes'), '4 RESERVATION CANCELLED, 4 LATE PAID_UNFULFILLED p4');
SELECT is(exported(p_to => interval '-10 minutes'), NULL);
UPDATE tranche.late_payment SET refunded_at = now() WHERE reservation_id = uid(4);
SELECT is(exported(p_from => interval '10 minutes'), NULL);
SELECT is((SELECT count(*) FROM tranche.reservation r, LATERAL (SELECT (date_part('epoch', r.finished_at) * 1000000)::bigint AS us)
             AS t, LATERAL tranche.export_payments(NULL, t.us, t.us, 10) AS e
           WHERE r.reservation_id = uid(1) AND e.reservation_id = uid(1)), 1::bigint, 'to the microsecond');

-- Pages: however small, nothing is repeated or left out.
SELECT is(exported(p_limit => 1), '1 RESERVATION CONFIRMED p1, 2 RESERVATION CONFIRMED p2, > 2');
SELECT is(exported(uid(1), 3), '2 RESERVATION CONFIRMED p2, 4 RESERVATION CANCELLED, 4 LATE PAID_UNFULFILLED p4, > 4');
SELECT is(exported(uid(3), 3), '4 RESERVATION CANCELLED, 4 LATE PAID_UNFULFILLED p4, 5 RESERVATION EXPIRED, '
                               || '5 LATE REBOOKED p5, 6 RESERVATION CONFIRMED p6, > 7');
CREATE FUNCTION paged(p_limit integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_after uuid;
  v_next  uuid;
  v_all   text[] := '{}';
  r       record;
BEGIN
  LOOP
    v_next := NULL;
    FOR r IN SELECT * FROM tranche.export_payments(v_after, 0, 4102444800000000, p_limit) LOOP
      v_next := CASE WHEN r.kind IS NULL THEN r.reservation_id END;
      IF r.kind IS NOT NULL THEN
        v_all := v_all || concat_ws(' ', right(r.reservation_id::text, 12)::bigint, r.kind);
      END IF;
    END LOOP;
    EXIT WHEN v_next IS NULL;
    v_after := v_next;
  END LOOP;
  RETURN array_to_string(v_all, ',');
END $$;
SELECT is(paged(n), '1 RESERVATION,2 RESERVATION,4 RESERVATION,4 LATE,5 RESERVATION,5 LATE,6 RESERVATION', 'by ' || n)
FROM generate_series(1, 9) AS n;

-- A SKU that is elsewhere.
UPDATE tranche.sku SET whereabouts = 'LEAVING', other_shard = 'b';
SELECT is(paged(100), '1 RESERVATION,2 RESERVATION,4 RESERVATION,4 LATE,5 RESERVATION,5 LATE,6 RESERVATION', 'still here');
UPDATE tranche.sku SET whereabouts = 'GONE', other_shard = 'b';
SELECT is(paged(100), '6 RESERVATION', 'the archive stays');
UPDATE tranche.sku SET whereabouts = 'HERE', other_shard = NULL;

-- A page costs a page, however large the table, and however little of it is in the window.
ALTER TABLE tranche.reservation DISABLE TRIGGER ALL;
INSERT INTO tranche.reservation (reservation_id, sku_id, user_id, quantity, ordinal, amount_minor, currency, incarnation_id,
                                 created_at, expires_at, state, finished_at, payment_reference)
SELECT gen_random_uuid(), 'tv', 'old' || i, 1, 1, 500, 'EUR', :node, now() - interval '9 days', now() - interval '9 days',
       'CONFIRMED', now() - interval '9 days', 'old' || i
FROM generate_series(1, 20000) AS i;
-- With plans from the statistics of an empty table, and from the real ones.
DISCARD PLANS;
SELECT cmp_ok(rows_read('reservation', $$ SELECT * FROM tranche.export_payments('50000000-0000-0000-0000-000000000000', 0, 1, 100) $$),
              '<=', 205::bigint);
SELECT cmp_ok(rows_read('reservation', $$ SELECT * FROM tranche.payment_entries(uids(1, 2, 3)) $$), '<=', 6::bigint);
ANALYZE tranche.reservation;
DISCARD PLANS;
SELECT cmp_ok(rows_read('reservation', $$ SELECT * FROM tranche.export_payments('50000000-0000-0000-0000-000000000000', 0, 1, 100) $$),
              '<=', 205::bigint);
SELECT cmp_ok(rows_read('reservation', $$ SELECT * FROM tranche.payment_entries(uids(1, 2, 3)) $$), '<=', 6::bigint);
SELECT * FROM finish();
