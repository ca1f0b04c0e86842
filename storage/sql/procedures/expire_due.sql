-- Expires up to p_limit unpaid holds whose time is over, the longest overdue first: PENDING becomes EXPIRED, and the
-- units go to the pools. One transaction and a constant number of statements. Only due holds are read, by the index
-- reservation_due: the cost does not grow with the number of live holds or of finished reservations. Only this
-- database's clock decides what is due.
--
-- Returns how many it expired, whether others are due (beyond the limit, or locked just now), and the microseconds
-- until the next one is due: 0 if one is, NULL if there is no hold at all. Holds of SKUs that are on their way to
-- another shard are left alone, and not counted: the shard that has the SKU in the end expires them.
--
-- Any number may run side by side. The candidates are read without locks, because a reservation's lock comes after
-- those of its SKU. Candidates that others have expired or locked meanwhile are skipped.
--
-- Locks: pins; the rows of the SKUs, ascending; their pool slots, in this order; the reservations, without waiting. It
-- closes no cycle for the reasons given in cancel_reservations.
CREATE OR REPLACE FUNCTION tranche.expire_due(p_limit integer)
RETURNS TABLE (expired bigint, more boolean, next_us bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
-- Only an index scan in order: a bitmap would first collect everything that is due.
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
  v_candidates uuid[];
  v_skus       text[];
  v_locked     uuid[];
  v_changed    reservation[];
  v_next       timestamptz;
  v_now        timestamptz := clock_timestamp();
BEGIN
  IF p_limit < 1 THEN
    RAISE EXCEPTION 'the limit must be at least 1' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- Whereabouts by a scalar subquery: never a join, so that the limit bounds what is read.
  SELECT array_agg(d.reservation_id), array_agg(DISTINCT d.sku_id) INTO v_candidates, v_skus
  FROM (SELECT r.reservation_id, r.sku_id FROM reservation r
        WHERE r.state = 'PENDING' AND r.expires_at <= v_now
          AND (SELECT s.whereabouts FROM sku s WHERE s.sku_id = r.sku_id) = 'HERE'
        ORDER BY r.expires_at
        LIMIT p_limit) AS d;

  IF v_candidates IS NOT NULL THEN
    PERFORM pin_skus(v_skus);
    SELECT array_agg(l.sku_id) INTO v_skus
    FROM (SELECT s.sku_id FROM sku s WHERE s.sku_id = ANY (v_skus) AND s.whereabouts = 'HERE'
          ORDER BY s.sku_id FOR UPDATE) AS l;
    PERFORM FROM stock_slot sl WHERE sl.sku_id = ANY (v_skus) AND sl.slot_no = 0 ORDER BY sl.sku_id FOR UPDATE;
    -- It may have been extended since: check again that it is due.
    v_now := clock_timestamp();
    SELECT array_agg(l.reservation_id) INTO v_locked
    FROM (SELECT r.reservation_id FROM reservation r
          WHERE r.reservation_id = ANY (v_candidates) AND r.sku_id = ANY (v_skus)
            AND r.state = 'PENDING' AND r.expires_at <= v_now
          FOR UPDATE SKIP LOCKED) AS l;

    WITH lapsed AS (
      UPDATE reservation r SET state = 'EXPIRED', finished_at = v_now, revision = r.revision + 1
      FROM unnest(v_locked) AS l (id)
      WHERE r.reservation_id = l.id
      RETURNING r AS changed
    ), batch AS (
      SELECT array_agg(c.changed) AS changed FROM lapsed c
    )
    SELECT b.changed INTO v_changed FROM batch b, write_outbox('reservation.expired', b.changed, v_now);
    IF v_changed IS NOT NULL THEN
      PERFORM return_units(array_agg(c.sku_id), array_agg(c.quantity::bigint)) FROM unnest(v_changed) AS c;
    END IF;
  END IF;

  SELECT r.expires_at INTO v_next FROM reservation r
  WHERE r.state = 'PENDING' AND (SELECT s.whereabouts FROM sku s WHERE s.sku_id = r.sku_id) = 'HERE'
  ORDER BY r.expires_at
  LIMIT 1;
  v_now := clock_timestamp();
  RETURN QUERY
  SELECT coalesce(cardinality(v_changed), 0)::bigint, coalesce(v_next <= v_now, false),
         CASE WHEN v_next IS NOT NULL THEN greatest(0, (date_part('epoch', v_next - v_now) * 1000000)::bigint) END;
END
$$;
