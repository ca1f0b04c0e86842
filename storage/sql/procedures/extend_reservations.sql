-- Makes a batch of holds last longer, in one transaction. Set-based: a constant number of statements however long the
-- batch. p_numbers says which extension of its reservation each is, from 1, so that a repeat is recognised.
--
-- p_ids must be distinct. Returns one row per id with its position `idx` (from 1), the reservation as it is now, and the
-- outcome:
--   DONE REPLAYED (that extension was made before) STATE (not pending, or its time is over) OUT_OF_ORDER (an extension
--   before this one is missing) TOO_MANY_EXTENSIONS (`bound`: how many) HOLD_TOO_LONG (`bound`: seconds from the
--   creation) and, without the reservation, NOT_FOUND and MOVING, GROUP (a member of a group, whose deadline counts), and
--   without p_wait BUSY (another transaction has locked it, and nothing is decided)
-- Rows come in no order.
--
-- A hold whose time is over is not extended, even if it is not expired yet: otherwise the expirer's pace would decide.
--
-- Locks like confirm_reservations, and closes no cycle for the same reasons: pins, then the reservations in (sku, user,
-- id) order. The SKU's bounds are read without a lock: whoever changes them does not wait for us. If they are widened
-- between the change and its outcome, an extension that would fit now is still told as too long: nothing was changed, and
-- who repeats it gets it.
CREATE OR REPLACE FUNCTION tranche.extend_reservations(p_ids uuid[], p_numbers integer[], p_seconds bigint[],
                                                       p_wait boolean DEFAULT true, p_traces text[] DEFAULT NULL)
RETURNS SETOF tranche.change_answer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  -- More seconds than any hold may have, and few enough to be added to a time.
  c_seconds constant bigint := 100000000::bigint;
  v_locked  uuid[];
  v_leaving uuid[];
  v_busy    uuid[];
  v_members uuid[];
  v_done    uuid[];
  v_now     timestamptz;
BEGIN
  IF 1 > ANY (p_numbers) OR 1 > ANY (p_seconds) THEN
    RAISE EXCEPTION 'numbers and seconds must be at least 1' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT l.locked, l.leaving, l.busy, l.members INTO v_locked, v_leaving, v_busy, v_members
  FROM lock_reservations(p_ids, p_wait => p_wait) AS l;
  v_now := clock_timestamp();

  -- Joined with each other, the two arrays are hashed.
  WITH wishes AS MATERIALIZED (
    SELECT c.* FROM unnest(p_ids, p_numbers, p_seconds, p_traces) AS c (id, number, seconds, trace)
    JOIN unnest(v_locked) AS l (id) ON l.id = c.id
  ), extended AS (
    UPDATE reservation r
    SET expires_at = r.expires_at + make_interval(secs => least(c.seconds, c_seconds)), extensions = r.extensions + 1,
        revision = r.revision + 1
    FROM wishes c CROSS JOIN sku s
    WHERE r.reservation_id = c.id AND s.sku_id = r.sku_id AND r.state = 'PENDING' AND r.expires_at > v_now
      AND c.number = r.extensions + 1 AND c.number <= s.max_extensions
      AND r.expires_at + make_interval(secs => least(c.seconds, c_seconds))
            <= r.created_at + make_interval(secs => coalesce(s.max_hold_seconds, s.hold_seconds * (1 + s.max_extensions)))
    RETURNING r AS changed, c.trace
  ), batch AS (
    SELECT array_agg(c.changed) AS changed, array_agg((c.changed).reservation_id) AS ids, array_agg(c.trace) AS traces
    FROM extended c
  )
  SELECT b.ids INTO v_done
  FROM batch b, write_outbox('reservation.extended', b.changed, v_now, p_traces => b.traces);

  RETURN QUERY
  SELECT c.idx::integer, o.outcome,
         CASE o.outcome
           WHEN 'TOO_MANY_EXTENSIONS' THEN s.max_extensions
           WHEN 'HOLD_TOO_LONG' THEN coalesce(s.max_hold_seconds, s.hold_seconds * (1 + s.max_extensions))
         END::bigint,
         r.*
  FROM unnest(p_ids, p_numbers) WITH ORDINALITY AS c (id, number, idx)
  LEFT JOIN unnest(v_locked) AS l (id) ON l.id = c.id
  LEFT JOIN unnest(v_done) AS done (id) ON done.id = c.id
  LEFT JOIN LATERAL (SELECT x.* FROM reservation_columns x WHERE x.reservation_id = l.id OFFSET 0) AS r ON true
  LEFT JOIN sku s ON s.sku_id = r.sku_id
  CROSS JOIN LATERAL (
    SELECT CASE WHEN done.id IS NOT NULL THEN 'DONE'
                WHEN l.id IS NULL THEN CASE WHEN c.id = ANY (v_leaving) THEN 'MOVING'
                                             WHEN c.id = ANY (v_busy) THEN 'BUSY'
                                             WHEN c.id = ANY (v_members) THEN 'GROUP' ELSE 'NOT_FOUND' END
                WHEN c.number <= r.extensions THEN 'REPLAYED'
                WHEN r.state <> 'PENDING' OR r.expires_us <= (date_part('epoch', v_now) * 1000000)::bigint THEN 'STATE'
                WHEN c.number > r.extensions + 1 THEN 'OUT_OF_ORDER'
                WHEN c.number > s.max_extensions THEN 'TOO_MANY_EXTENSIONS'
                ELSE 'HOLD_TOO_LONG'
           END) AS o (outcome);
END
$$;
