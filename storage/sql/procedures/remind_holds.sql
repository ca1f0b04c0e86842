-- Tells the sinks of unpaid holds that lapse within p_within_us microseconds, the next to lapse first, p_limit of them at most: a
-- message reservation.lapses_soon about each, whose revision grows by one. One transaction. Only such holds are read, by the
-- index reservation_due. Returns how many were told of, and whether there may be more.
--
-- Each end of a hold is told of once: hold_reminder keeps how far the order of all ends has been gone through, and never
-- goes back. An extended hold has a new end, and is told of again if that was not gone through yet. Not told of:
--   holds that last no longer than p_within_us in all: their callers have just heard when they end;
--   holds that another transaction has locked just now: it is about to pay, cancel or extend them;
--   holds of members of groups who have paid: they lapse no more;
--   holds of SKUs that are on their way to another shard: that shard tells of them, if it had not gone beyond their ends.
-- Others that lapse and were created meanwhile are not missed: they lapse later than the last that was looked at, since they last
-- longer than p_within_us.
--
-- Any number may run side by side: one at a time works, and the others find nothing to do.
--
-- Locks: the row of hold_reminder, which nobody waits for; then as lock_reservations without waiting.
CREATE OR REPLACE FUNCTION tranche.remind_holds(p_within_us bigint, p_limit integer)
RETURNS TABLE (reminded bigint, more boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
  v_within   interval := p_within_us * interval '1 microsecond';
  v_now      timestamptz := clock_timestamp();
  v_at_due   timestamptz;
  v_at_id    uuid;
  v_ids      uuid[];
  v_due      timestamptz[];
  v_unpaid   uuid[];
  v_locked   uuid[];
  v_reminded bigint := 0::bigint;
BEGIN
  IF p_limit < 1 OR p_within_us < 1 THEN
    RAISE EXCEPTION 'the limit and the time must be at least 1' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT h.at_due, h.at_id INTO v_at_due, v_at_id FROM hold_reminder h FOR UPDATE SKIP LOCKED;
  IF v_at_due IS NULL THEN
    RETURN QUERY SELECT 0::bigint, false;
    RETURN;
  END IF;
  -- What is over is the expirer's.
  IF v_at_due < v_now THEN
    v_at_due := v_now;
    v_at_id := '00000000-0000-0000-0000-000000000000'::uuid;
  END IF;
  SELECT array_agg(d.reservation_id ORDER BY d.expires_at, d.reservation_id),
         array_agg(d.expires_at ORDER BY d.expires_at, d.reservation_id), array_agg(d.reservation_id) FILTER (WHERE NOT d.paid)
  INTO v_ids, v_due, v_unpaid FROM due_holds(v_now + v_within, v_at_due, v_at_id, p_limit) AS d;
  IF v_ids IS NULL THEN
    RETURN QUERY SELECT 0::bigint, false;
    RETURN;
  END IF;
  SELECT l.locked INTO v_locked FROM lock_reservations(v_unpaid, p_wait => false, p_members => true) AS l;

  v_now := clock_timestamp();
  -- It may have been paid or extended since: check again.
  WITH told AS (
    UPDATE reservation r SET revision = r.revision + 1
    FROM unnest(v_locked) AS l (id)
    WHERE r.reservation_id = l.id AND r.state = 'PENDING' AND r.expires_at > v_now AND r.expires_at <= v_now + v_within
      AND r.expires_at - r.created_at > v_within
      AND (r.group_id IS NULL
           OR NOT EXISTS (SELECT FROM group_member m WHERE m.reservation_id = r.reservation_id AND m.seat_no IS NOT NULL OFFSET 0))
    RETURNING r AS changed
  ), batch AS (
    SELECT array_agg(t.changed) AS changed, count(*) AS told FROM told t
  )
  SELECT b.told INTO v_reminded FROM batch b, write_outbox('reservation.lapses_soon', b.changed, v_now);

  UPDATE hold_reminder SET at_due = v_due[cardinality(v_ids)], at_id = v_ids[cardinality(v_ids)];
  RETURN QUERY SELECT v_reminded, cardinality(v_ids) = p_limit;
END
$$;
