-- One page of the payments for reconciliation with a payment provider's statement, ascending by reservation id, those
-- after p_after (NULL: from the start): reservations that were confirmed, or had a late payment, from p_from_us to
-- p_to_us (both inclusive), and those with an earlier late payment that is still to be refunded. A reservation that was
-- booked for a late payment is returned with that payment, not by itself. A member of a group counts from when the seat was
-- paid, and is returned while it still waits for the group, too. Columns are those of payment_entries.
--
-- A page reads little more than p_limit rows of each table, by primary key, however few it returns: its statements are
-- short on tables of any size, and no transaction stays open between two pages. If more may follow, the last row has
-- kind NULL and the reservation_id to continue after.
CREATE OR REPLACE FUNCTION tranche.export_payments(p_after uuid, p_from_us bigint, p_to_us bigint, p_limit integer)
RETURNS TABLE (reservation_id uuid, kind text, sku_id text, quantity integer, state text, amount_minor bigint,
               currency text, payment_reference text, paid_us bigint, refunded_us bigint, rebooked uuid,
               archived boolean, order_reference text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
  v_first uuid := coalesce(p_after, '00000000-0000-0000-0000-000000000000');
  v_last  uuid;
  v_from  timestamptz := 'epoch'::timestamptz + p_from_us * interval '1 microsecond';
  v_to    timestamptz := 'epoch'::timestamptz + p_to_us * interval '1 microsecond';
  v_stop  uuid;
  -- Reservations with any late payment, and those with one that this page returns.
  v_late   uuid[];
  v_wanted uuid[];
BEGIN
  -- Up to the first of the tables' p_limit-th rows after p_after, or the next one; NULL when no table has that many.
  v_last := least(
    (SELECT r.reservation_id FROM reservation r WHERE r.reservation_id >= v_first
     ORDER BY r.reservation_id OFFSET p_limit LIMIT 1),
    (SELECT a.reservation_id FROM reservation_archive a WHERE a.reservation_id >= v_first
     ORDER BY a.reservation_id OFFSET p_limit LIMIT 1),
    (SELECT l.reservation_id FROM late_payment l WHERE l.reservation_id >= v_first
     ORDER BY l.reservation_id OFFSET p_limit LIMIT 1));

  v_stop := coalesce(v_last, 'ffffffff-ffff-ffff-ffff-ffffffffffff');

  -- These are few: nearly all reservations have no late payment.
  SELECT coalesce(array_agg(DISTINCT l.reservation_id), '{}') INTO v_late
  FROM late_payment l
  WHERE l.reservation_id >= v_first AND l.reservation_id <= v_stop AND l.reservation_id IS DISTINCT FROM p_after;
  SELECT coalesce(array_agg(DISTINCT l.reservation_id), '{}') INTO v_wanted
  FROM late_payment l
  WHERE l.reservation_id = ANY (v_late) AND l.received_at <= v_to
    AND (l.received_at >= v_from OR (l.outcome = 'PAID_UNFULFILLED' AND l.refunded_at IS NULL));

  -- Nearly all pages have neither late payments nor archived reservations. OFFSET 0 keeps the planner from reading a
  -- whole partial index on the state.
  IF v_late = '{}' AND NOT EXISTS (
    SELECT FROM reservation_archive a WHERE a.reservation_id >= v_first AND a.reservation_id <= v_stop)
  THEN
    RETURN QUERY
    SELECT r.reservation_id, 'RESERVATION', r.sku_id, r.quantity, r.state, r.amount_minor, r.currency,
           coalesce(r.payment_reference, seat.payment_reference),
           (date_part('epoch', coalesce(seat.paid_at, r.finished_at)) * 1000000)::bigint, NULL::bigint, NULL::uuid, false,
           r.order_reference
    FROM (SELECT * FROM reservation x WHERE x.reservation_id >= v_first AND x.reservation_id <= v_stop
          ORDER BY x.reservation_id OFFSET 0) AS r
    JOIN sku s ON s.sku_id = r.sku_id
    LEFT JOIN LATERAL (SELECT m.payment_reference, m.paid_at FROM group_member m
                       WHERE r.group_id IS NOT NULL AND m.reservation_id = r.reservation_id OFFSET 0) AS seat ON true
    WHERE (r.state = 'CONFIRMED' OR (r.state = 'PENDING' AND seat.paid_at IS NOT NULL)) AND r.rebooked_from IS NULL
      AND coalesce(seat.paid_at, r.finished_at) BETWEEN v_from AND v_to
      AND r.reservation_id IS DISTINCT FROM p_after AND s.whereabouts IN ('HERE', 'LEAVING')
    ORDER BY 1;
  ELSE
    -- Those without late payments in one read; the others through payment_entries.
    RETURN QUERY
    WITH page AS MATERIALIZED (
      -- The states are filtered behind the fence: otherwise the planner would read a whole partial index on them.
      SELECT r.reservation_id, r.sku_id, r.quantity, r.state, r.amount_minor, r.currency, r.payment_reference,
             r.finished_at, r.rebooked_from, false AS archived, r.order_reference, r.group_id
      FROM reservation r
      WHERE r.reservation_id >= v_first AND r.reservation_id <= v_stop
      UNION ALL
      SELECT a.reservation_id, a.sku_id, a.quantity, a.state, a.amount_minor, a.currency, a.payment_reference,
             a.finished_at, a.rebooked_from, true, a.order_reference, a.group_id
      FROM reservation_archive a
      WHERE a.reservation_id >= v_first AND a.reservation_id <= v_stop
    ), paid AS MATERIALIZED (
      SELECT p.*, coalesce(p.payment_reference, seat.payment_reference) AS paid_by, coalesce(seat.paid_at, p.finished_at) AS paid_at
      FROM page p
      LEFT JOIN LATERAL (SELECT m.payment_reference, m.paid_at FROM group_member m
                         WHERE p.group_id IS NOT NULL AND m.reservation_id = p.reservation_id OFFSET 0) AS seat ON true
      WHERE (p.state = 'CONFIRMED' OR (p.state = 'PENDING' AND seat.paid_at IS NOT NULL)) AND p.rebooked_from IS NULL
        AND coalesce(seat.paid_at, p.finished_at) BETWEEN v_from AND v_to
        AND p.reservation_id IS DISTINCT FROM p_after
    )
    SELECT p.reservation_id, 'RESERVATION', p.sku_id, p.quantity, p.state, p.amount_minor, p.currency,
           p.paid_by, (date_part('epoch', p.paid_at) * 1000000)::bigint, NULL::bigint, NULL::uuid,
           p.archived, p.order_reference
    FROM paid p
    WHERE p.reservation_id <> ALL (v_late)
      AND (p.archived OR (SELECT s.whereabouts FROM sku s WHERE s.sku_id = p.sku_id) IN ('HERE', 'LEAVING'))
    UNION ALL
    SELECT e.*
    FROM payment_entries(v_wanted || ARRAY(SELECT p.reservation_id FROM paid p
                                           WHERE p.reservation_id = ANY (v_late)
                                             AND p.reservation_id <> ALL (v_wanted))) AS e
    ORDER BY 1, 2 DESC, 8;
  END IF;
  IF v_last IS NOT NULL THEN
    RETURN QUERY SELECT v_last, NULL::text, NULL::text, NULL::integer, NULL::text, NULL::bigint, NULL::text,
                        NULL::text, NULL::bigint, NULL::bigint, NULL::uuid, NULL::boolean, NULL::text;
  END IF;
END
$$;
