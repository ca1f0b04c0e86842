-- Ends groups whose deadline has passed, by this database's clock. One with enough seats for its PARTIAL offer is FILLED: those who have
-- paid are confirmed. Any other one is FAILED: holds of members end, the units go to the pools, and whoever has paid is to be refunded.
-- Also ends what unpaid members of groups that are over still hold. One transaction, of about p_limit holds; all paid members of one group
-- are settled at once.
--
-- Returns how many groups were filled and failed; how many holds were ended; whether others are due (call again); and the microseconds
-- until the next group is due: 0 if `more`, NULL if none forms. While all that is due is locked by others, these are `false` and a moment.
-- Groups of SKUs that are on their way to another shard are left alone: the shard that has the SKU in the end ends them.
--
-- Why it is safe:
--   seats         decided with the group locked, which whoever pays, leaves or cancels it has locked, too; joins have it locked with them
--   all or none   a group of which a paid member's reservation is locked by another transaction is left for another call
--   conservation  what leaves PENDING here is what the pools receive, in this transaction
--
-- Any number may run side by side. Locks: see lock_due_groups; then reservations, without waiting.
CREATE OR REPLACE FUNCTION tranche.expire_groups(p_limit integer)
RETURNS TABLE (filled bigint, failed bigint, ended bigint, more boolean, next_us bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
-- The next deadline by an index scan in order: a bitmap would first collect all groups that form.
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
  -- How soon to look again at what is locked.
  c_moment  constant bigint := 20000::bigint;
  v_now     timestamptz := clock_timestamp();
  v_groups  uuid[];
  v_seats   bigint;
  v_ids     uuid[];
  v_left    uuid[];
  v_sold    uuid[];
  v_ending  uuid[];
  v_reasons text[];
  v_next    timestamptz;
BEGIN
  IF p_limit < 1 THEN
    RAISE EXCEPTION 'the limit must be at least 1' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  v_groups := lock_due_groups(v_now, p_limit);
  -- Their holds, the paid ones first. Those of a filled group are not PENDING any more.
  SELECT sum(g.seats_taken) INTO v_seats FROM group_buy g WHERE g.group_id = ANY (v_groups) AND g.state = 'FORMING';
  SELECT coalesce(array_agg(l.reservation_id), '{}'::uuid[]) INTO v_ids
  FROM (SELECT r.reservation_id
        FROM group_member m JOIN reservation r ON r.reservation_id = m.reservation_id
        WHERE m.group_id = ANY (v_groups) AND r.state = 'PENDING'
        ORDER BY m.seat_no IS NULL
        LIMIT greatest(p_limit::bigint, v_seats)
        FOR UPDATE OF r SKIP LOCKED) AS l;
  SELECT coalesce(array_agg(DISTINCT m.group_id), '{}'::uuid[]) INTO v_left
  FROM group_member m JOIN reservation r ON r.reservation_id = m.reservation_id
  WHERE m.group_id = ANY (v_groups) AND m.seat_no IS NOT NULL AND r.state = 'PENDING' AND r.reservation_id <> ALL (v_ids);

  v_now := clock_timestamp();
  WITH decided AS (
    UPDATE group_buy g
    SET state = CASE WHEN x.sold THEN 'FILLED' ELSE 'FAILED' END, partial = x.sold, finished_at = v_now, revision = g.revision + 1
    FROM (SELECT y.group_id, coalesce(y.seats_taken >= o.min_members, false) AS sold
          FROM group_buy y
          LEFT JOIN group_offer o ON o.sku_id = y.sku_id AND o.offer_id = y.offer_id AND o.on_timeout = 'PARTIAL'
          WHERE y.group_id = ANY (v_groups) AND y.group_id <> ALL (v_left) AND y.state = 'FORMING') AS x
    WHERE g.group_id = x.group_id
    RETURNING g.state
  )
  SELECT count(*) FILTER (WHERE d.state = 'FILLED'), count(*) FILTER (WHERE d.state = 'FAILED') INTO filled, failed FROM decided d;

  SELECT array_agg(h.id) FILTER (WHERE h.reason IS NULL), array_agg(h.id) FILTER (WHERE h.reason IS NOT NULL),
         array_agg(h.reason) FILTER (WHERE h.reason IS NOT NULL)
  INTO v_sold, v_ending, v_reasons
  FROM (SELECT m.reservation_id AS id,
               CASE WHEN g.state <> 'FILLED' THEN 'GROUP_' || g.state WHEN m.seat_no IS NULL THEN 'GROUP_FULL' END AS reason
        FROM group_member m JOIN group_buy g ON g.group_id = m.group_id
        WHERE m.reservation_id = ANY (v_ids) AND g.state <> 'FORMING') AS h;
  IF v_sold IS NOT NULL THEN
    PERFORM confirm_seats(v_sold);
  END IF;
  ended := cardinality(end_group_holds(v_ending, v_reasons))::bigint;
  UPDATE group_buy g SET unsettled = NOT g.unsettled
  WHERE g.group_id = ANY (v_groups) AND g.state <> 'FORMING'
    AND g.unsettled <> EXISTS (SELECT FROM group_member m JOIN reservation r ON r.reservation_id = m.reservation_id
                               WHERE m.group_id = g.group_id AND r.state = 'PENDING');

  v_now := clock_timestamp();
  IF EXISTS (SELECT FROM due_groups(v_now, '{}'::text[], 1)) THEN
    -- Without progress, what is due is locked.
    more := filled + failed + ended > 0;
    next_us := CASE WHEN more THEN 0::bigint ELSE c_moment END;
  ELSE
    more := false;
    SELECT g.deadline_at INTO v_next FROM group_buy g
    WHERE g.state = 'FORMING' AND g.deadline_at > v_now AND (SELECT s.whereabouts FROM sku s WHERE s.sku_id = g.sku_id) = 'HERE'
    ORDER BY g.deadline_at, g.group_id
    LIMIT 1;
    next_us := (extract(epoch FROM v_next - v_now) * 1000000)::bigint;
  END IF;
  RETURN NEXT;
END
$$;
