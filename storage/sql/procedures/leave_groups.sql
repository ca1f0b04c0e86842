-- Ends a batch of memberships of groups that form, in one transaction: PENDING becomes CANCELLED, and the units go to the pools. If a seat
-- was paid, it is free again, and its refund is asked for. A group in which nobody is any more ends (end_empty_groups). Set-based: a constant number of statements however long the batch.
--
-- p_ids must be distinct. Returns one row per id with its position `idx` (from 1), the reservation as it is now, and the outcome:
--   DONE REPLAYED (it is cancelled already, for whatever reason) STATE (confirmed or expired; or its seat is paid, and the group's deadline
--   has passed: what becomes of it then is expire_groups' to decide) and, without the reservation, NOT_FOUND (or it was made for no
--   group), MOVING, and without p_wait BUSY (another transaction has locked it, its group, its SKU or its pool slot, and nothing is
--   decided)
-- Rows come in no order. Whoever has not paid may leave at any time.
--
-- Why it is safe: as cancel_reservations; and seats are counted with the group locked, which whoever takes one has locked, too.
--
-- Locks: see lock_group_holds.
CREATE OR REPLACE FUNCTION tranche.leave_groups(p_ids uuid[], p_reasons text[], p_wait boolean DEFAULT true,
                                                p_traces text[] DEFAULT NULL)
RETURNS SETOF tranche.change_answer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  v_locked  uuid[];
  v_leaving uuid[];
  v_busy    uuid[];
  v_ids     uuid[];
  v_reasons text[];
  v_traces  text[];
  v_done    uuid[];
  v_now     timestamptz;
BEGIN
  SELECT l.locked, l.leaving, l.busy INTO v_locked, v_leaving, v_busy FROM lock_group_holds(p_ids, p_wait) AS l;
  v_now := clock_timestamp();

  SELECT array_agg(c.id), array_agg(c.reason), array_agg(c.trace) INTO v_ids, v_reasons, v_traces
  FROM unnest(p_ids, p_reasons, p_traces) AS c (id, reason, trace)
  JOIN unnest(v_locked) AS l (id) ON l.id = c.id
  CROSS JOIN LATERAL (SELECT x.state, x.group_id FROM reservation x WHERE x.reservation_id = c.id OFFSET 0) AS r
  CROSS JOIN LATERAL (SELECT x.state, x.deadline_at FROM group_buy x WHERE x.group_id = r.group_id OFFSET 0) AS g
  LEFT JOIN LATERAL (SELECT x.seat_no FROM group_member x WHERE x.reservation_id = c.id OFFSET 0) AS m ON true
  WHERE r.state = 'PENDING' AND (m.seat_no IS NULL OR (g.state = 'FORMING' AND g.deadline_at > v_now));
  v_done := end_group_holds(v_ids, v_reasons, v_traces);
  WITH freed AS (
    UPDATE group_member m SET seat_no = NULL, payment_reference = NULL, paid_at = NULL
    WHERE m.reservation_id = ANY (v_done) AND m.seat_no IS NOT NULL
    RETURNING m.group_id
  )
  UPDATE group_buy g SET seats_taken = g.seats_taken - f.seats, revision = g.revision + 1
  FROM (SELECT x.group_id, count(*)::integer AS seats FROM freed x GROUP BY x.group_id) AS f
  WHERE g.group_id = f.group_id;
  PERFORM end_empty_groups(array_agg(r.group_id)) FROM reservation r WHERE r.reservation_id = ANY (v_done);

  RETURN QUERY
  SELECT c.idx::integer,
         CASE WHEN done.id IS NOT NULL THEN 'DONE'
              WHEN l.id IS NULL THEN CASE WHEN c.id = ANY (v_leaving) THEN 'MOVING' WHEN c.id = ANY (v_busy) THEN 'BUSY'
                                         ELSE 'NOT_FOUND' END
              WHEN r.state = 'CANCELLED' THEN 'REPLAYED'
              ELSE 'STATE'
         END,
         NULL::bigint, r.*
  FROM unnest(p_ids) WITH ORDINALITY AS c (id, idx)
  LEFT JOIN unnest(v_locked) AS l (id) ON l.id = c.id
  LEFT JOIN unnest(v_done) AS done (id) ON done.id = c.id
  LEFT JOIN LATERAL (SELECT x.* FROM reservation_columns x WHERE x.reservation_id = l.id OFFSET 0) AS r ON true;
END
$$;
