-- Ends a group that forms: its holds end, the units go to the pool, and whoever has paid is to be refunded, in one transaction. One row:
--   DONE             with the group as it is now; also if it was cancelled before: then nothing changes and is audited
--   GROUP_NOT_FOUND  there is none of this id here, or p_sku_id names another SKU than its own
--   GROUP_OVER       with the group, which is FILLED or FAILED
-- Error TR004 while its SKU moves to another shard. p_reason is for people; '' for none. p_preview: only says what would be, and locks
-- nothing.
--
-- All who have paid are settled here. Of the others, of whom there may be any number, c_most at most. The group is always noted as
-- unsettled: a join that is under way may add a hold that this transaction does not see. expire_groups ends what is left.
--
-- Locks: the SKU's row, its pool slot, the group, the reservations in (sku, user, id) order. The group against payments and other ends, but
-- not against joins, which have it locked FOR KEY SHARE: there may always be some, and the SKU's sale waits for us meanwhile. Who has a
-- reservation locked waits for reservations only. While we have the SKU's row, it stays on this shard: so this needs no pin.
CREATE OR REPLACE FUNCTION tranche.cancel_group(p_group uuid, p_reason text, p_preview boolean, p_actor text,
                                                p_sku_id text DEFAULT NULL)
RETURNS SETOF tranche.group_told
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
-- Buyers would queue behind a lock that this waits for: rather fail, and be called again.
SET lock_timeout = '2s'
AS $$
DECLARE
  c_most constant integer := 1000;
  v_sku  text := (SELECT g.sku_id FROM group_buy g WHERE g.group_id = p_group AND (p_sku_id IS NULL OR g.sku_id = p_sku_id));
  v_now  timestamptz;
  v_ids  uuid[];
  v_told group_told%ROWTYPE;
BEGIN
  IF NOT p_preview THEN
    PERFORM FROM lock_sku(v_sku);
    PERFORM FROM stock_slot sl WHERE sl.sku_id = v_sku AND sl.slot_no = 0 FOR UPDATE;
    PERFORM FROM group_buy g WHERE g.group_id = p_group AND g.sku_id = v_sku FOR NO KEY UPDATE;
  END IF;
  SELECT 'DONE', g.* INTO v_told FROM group_fields g JOIN sku s ON s.sku_id = g.sku_id AND s.whereabouts IN ('HERE', 'LEAVING')
  WHERE g.group_id = p_group AND g.sku_id = v_sku;
  IF NOT FOUND THEN
    v_told.outcome := 'GROUP_NOT_FOUND';
  ELSIF v_told.state = 'CANCELLED' THEN
    IF NOT p_preview THEN
      -- A repeat is the way to find out whether it was cancelled.
      PERFORM await_standby();
    END IF;
  ELSIF v_told.state <> 'FORMING' THEN
    v_told.outcome := 'GROUP_OVER';
  ELSE
    v_now := clock_timestamp();
    IF NOT p_preview THEN
      -- Each hold by itself and by its key: a join, or the index of pending ones, could read all of the table.
      SELECT array_agg(h.reservation_id) INTO v_ids
      FROM (SELECT m.reservation_id FROM group_member m WHERE m.group_id = p_group AND m.seat_no IS NOT NULL
            UNION ALL
            (SELECT m.reservation_id FROM group_member m WHERE m.group_id = p_group AND m.seat_no IS NULL
             ORDER BY m.user_id LIMIT c_most)) AS h
      CROSS JOIN LATERAL (SELECT x.state FROM reservation x WHERE x.reservation_id = h.reservation_id OFFSET 0) AS r
      WHERE r.state = 'PENDING';
      PERFORM FROM reservation r WHERE r.reservation_id = ANY (v_ids) ORDER BY r.sku_id, r.user_id, r.reservation_id FOR UPDATE;
      IF v_ids IS NOT NULL THEN
        PERFORM end_group_holds(v_ids, array_fill('GROUP_CANCELLED'::text, ARRAY[cardinality(v_ids)]));
      END IF;
      UPDATE group_buy g
      SET state = 'CANCELLED', reason = nullif(p_reason, ''), finished_at = v_now, revision = g.revision + 1,
          unsettled = true
      WHERE g.group_id = p_group;
      INSERT INTO audit_log (actor, action, sku_id, before, after)
      VALUES (p_actor, 'cancel_group', v_sku,
              jsonb_build_object('group', p_group, 'state', 'FORMING', 'seats_taken', v_told.seats_taken),
              jsonb_strip_nulls(jsonb_build_object('group', p_group, 'state', 'CANCELLED', 'seats_taken', v_told.seats_taken,
                                                   'reason', nullif(p_reason, ''))));
    END IF;
    v_told.state := 'CANCELLED';
    v_told.reason := nullif(p_reason, '');
    v_told.finished_us := (extract(epoch FROM v_now) * 1000000)::bigint;
    v_told.revision := v_told.revision + 1;
  END IF;
  RETURN NEXT v_told;
END
$$;
