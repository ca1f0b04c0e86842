-- What is known about the payments of reservations: for each known id, one row of kind RESERVATION (unless retention
-- dropped it) and one of kind LATE for each late payment. Ordered by id, then the reservation first, then the late
-- payments by reference.
--
--   state        of the reservation; of a late payment its outcome
--   payment_reference   of a PENDING reservation: the payment that has its seat in a group
--   paid_us      when the ledger learned of the payment; NULL without one. Of a group's member: when the seat was paid, though
--                the group may have been filled days later
--   refunded_us  of a late payment that was paid back
--   rebooked     of a reservation: whose late payment paid for it; of a late payment: what it paid for
--   archived     retention has moved the reservation to reservation_archive
--
-- Rows of a SKU that is not on this shard (any more, or yet) are left to the other shard. Archived ones stay where they
-- are when their SKU moves, so they are always returned here. (By subqueries: a join could begin with the SKUs.)
CREATE OR REPLACE FUNCTION tranche.payment_entries(p_ids uuid[])
RETURNS TABLE (reservation_id uuid, kind text, sku_id text, quantity integer, state text, amount_minor bigint,
               currency text, payment_reference text, paid_us bigint, refunded_us bigint, rebooked uuid,
               archived boolean, order_reference text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
  SELECT e.reservation_id, e.kind, e.sku_id, e.quantity, e.state, e.amount_minor, e.currency, e.payment_reference,
         e.paid_us, e.refunded_us, e.rebooked, e.archived, e.order_reference
  FROM (
    SELECT r.reservation_id, 'RESERVATION' AS kind, r.sku_id, r.quantity, r.state, r.amount_minor, r.currency,
           coalesce(r.payment_reference, seat.payment_reference) AS payment_reference,
           CASE WHEN r.state = 'CONFIRMED' OR seat.paid_at IS NOT NULL
                THEN (date_part('epoch', coalesce(seat.paid_at, r.finished_at)) * 1000000)::bigint END AS paid_us,
           NULL::bigint AS refunded_us, r.rebooked_from AS rebooked, false AS archived,
           r.order_reference
    FROM reservation r
    -- Of one that has ended otherwise, the payment is a late one.
    LEFT JOIN LATERAL (SELECT m.payment_reference, m.paid_at FROM group_member m
                       WHERE r.group_id IS NOT NULL AND r.state IN ('PENDING', 'CONFIRMED')
                         AND m.reservation_id = r.reservation_id OFFSET 0) AS seat ON true
    WHERE r.reservation_id = ANY (p_ids)
      AND (SELECT s.whereabouts FROM sku s WHERE s.sku_id = r.sku_id) IN ('HERE', 'LEAVING')
    UNION ALL
    SELECT a.reservation_id, 'RESERVATION', a.sku_id, a.quantity, a.state, a.amount_minor, a.currency,
           a.payment_reference,
           CASE WHEN a.state = 'CONFIRMED' THEN (date_part('epoch', coalesce(seat.paid_at, a.finished_at)) * 1000000)::bigint END,
           NULL, a.rebooked_from, true, a.order_reference
    FROM reservation_archive a
    LEFT JOIN LATERAL (SELECT m.paid_at FROM group_member m
                       WHERE a.group_id IS NOT NULL AND a.state = 'CONFIRMED' AND m.reservation_id = a.reservation_id
                       OFFSET 0) AS seat ON true
    WHERE a.reservation_id = ANY (p_ids)
    UNION ALL
    SELECT l.reservation_id, 'LATE', l.sku_id, 0, l.outcome, l.amount_minor, l.currency, l.payment_reference,
           (date_part('epoch', l.received_at) * 1000000)::bigint,
           (date_part('epoch', l.refunded_at) * 1000000)::bigint, l.rebooked_as, false, NULL
    FROM late_payment l
    WHERE l.reservation_id = ANY (p_ids)
      AND (SELECT s.whereabouts FROM sku s WHERE s.sku_id = l.sku_id) IN ('HERE', 'LEAVING')
  ) AS e
  ORDER BY e.reservation_id, e.kind DESC, e.payment_reference COLLATE "C"
$$;
