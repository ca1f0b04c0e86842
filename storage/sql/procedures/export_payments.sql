-- One page of what reconciliation compares with a payment provider's statement, ascending by reservation id, those after
-- p_after (NULL: from the start): reservations that were confirmed, or had a late payment, from p_from_us to p_to_us
-- (both inclusive), and those with a late payment from before p_from_us that is still to be paid back. What was booked
-- for a late payment is told with that payment, not by itself. Columns as payment_entries has them.
--
-- A page looks at little more than p_limit rows of each table, by primary key, whatever it returns: its statements are short on
-- tables of any size, and no transaction stays open between two pages. If more may follow, the last row has kind NULL
-- and the reservation_id to go on after.
CREATE OR REPLACE FUNCTION tranche.export_payments(p_after uuid, p_from_us bigint, p_to_us bigint, p_limit integer)
RETURNS TABLE (reservation_id uuid, kind text, sku_id text, quantity integer, state text, amount_minor bigint,
               currency text, payment_reference text, paid_us bigint, refunded_us bigint, rebooked uuid,
               archived boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
  v_first uuid := coalesce(p_after, '00000000-0000-0000-0000-000000000000');
  v_last  uuid;
  v_from  timestamptz := 'epoch'::timestamptz + p_from_us * interval '1 microsecond';
  v_to    timestamptz := 'epoch'::timestamptz + p_to_us * interval '1 microsecond';
  v_ids   uuid[];
BEGIN
  -- To the first of the tables' p_limit-th rows behind p_after, or the next one; NULL when none has so many.
  v_last := least(
    (SELECT r.reservation_id FROM reservation r WHERE r.reservation_id >= v_first
     ORDER BY r.reservation_id OFFSET p_limit LIMIT 1),
    (SELECT a.reservation_id FROM reservation_archive a WHERE a.reservation_id >= v_first
     ORDER BY a.reservation_id OFFSET p_limit LIMIT 1),
    (SELECT l.reservation_id FROM late_payment l WHERE l.reservation_id >= v_first
     ORDER BY l.reservation_id OFFSET p_limit LIMIT 1));

  SELECT array_agg(f.reservation_id) INTO v_ids
  FROM (
    SELECT r.reservation_id
    -- The states are looked at behind the fence (OFFSET): or the planner would read a partial index of them as a whole.
    FROM (SELECT x.reservation_id, x.state, x.rebooked_from, x.finished_at FROM reservation x
          WHERE x.reservation_id >= v_first
            AND x.reservation_id <= coalesce(v_last, 'ffffffff-ffff-ffff-ffff-ffffffffffff') OFFSET 0) AS r
    WHERE r.state = 'CONFIRMED' AND r.rebooked_from IS NULL AND r.finished_at BETWEEN v_from AND v_to
    UNION
    SELECT a.reservation_id FROM reservation_archive a
    WHERE a.reservation_id >= v_first
      AND a.reservation_id <= coalesce(v_last, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
      AND a.state = 'CONFIRMED' AND a.rebooked_from IS NULL AND a.finished_at BETWEEN v_from AND v_to
    UNION
    SELECT l.reservation_id FROM late_payment l
    WHERE l.reservation_id >= v_first
      AND l.reservation_id <= coalesce(v_last, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
      AND l.received_at <= v_to
      AND (l.received_at >= v_from OR (l.outcome = 'PAID_UNFULFILLED' AND l.refunded_at IS NULL))
  ) AS f
  WHERE f.reservation_id IS DISTINCT FROM p_after;

  RETURN QUERY SELECT e.* FROM payment_entries(v_ids) AS e;
  IF v_last IS NOT NULL THEN
    RETURN QUERY SELECT v_last, NULL::text, NULL::text, NULL::integer, NULL::text, NULL::bigint, NULL::text,
                        NULL::text, NULL::bigint, NULL::bigint, NULL::uuid, NULL::boolean;
  END IF;
END
$$;
