-- As lock_reservations with p_pools, for reservations that were made for groups: the groups of pending ones are locked as well, since they
-- come before reservations in the order of locks. Against payments and ends, that is (FOR NO KEY UPDATE); who joins changes nothing that is
-- decided with this lock, and goes on. Other reservations are not locked, and in none of the answers.
--
-- For other procedures. Locks: pins; the rows of the SKUs of pending ones, ascending, and their pool slots; the groups, ascending; the
-- reservations in (sku, user, id) order. Who holds a group may wait for reservations, and for no SKU; so no cycle results.
CREATE OR REPLACE FUNCTION tranche.lock_group_holds(p_ids uuid[], p_wait boolean, OUT locked uuid[], OUT leaving uuid[],
                                                    OUT busy uuid[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  v_skus    text[];
  v_pending text[];
  v_groups  uuid[];
  v_here    text[];
  v_leaving text[];
BEGIN
  IF (SELECT count(DISTINCT id) FROM unnest(p_ids) AS id) <> cardinality(p_ids) THEN
    RAISE EXCEPTION 'reservation ids of a batch must be distinct' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- Read without a lock: a reservation's SKU and group never change, nor does any state other than PENDING.
  SELECT array_agg(DISTINCT r.sku_id), array_agg(DISTINCT r.sku_id) FILTER (WHERE r.state = 'PENDING'),
         array_agg(DISTINCT r.group_id) FILTER (WHERE r.state = 'PENDING')
  INTO v_skus, v_pending, v_groups
  FROM reservation r WHERE r.reservation_id = ANY (p_ids) AND r.group_id IS NOT NULL;
  PERFORM pin_skus(v_skus);
  IF v_pending IS NOT NULL AND p_wait THEN
    PERFORM FROM sku s WHERE s.sku_id = ANY (v_pending) ORDER BY s.sku_id FOR UPDATE;
    PERFORM FROM stock_slot sl WHERE sl.sku_id = ANY (v_pending) AND sl.slot_no = 0 ORDER BY sl.sku_id FOR UPDATE;
    PERFORM FROM group_buy g WHERE g.group_id = ANY (v_groups) ORDER BY g.group_id FOR NO KEY UPDATE;
  ELSIF v_pending IS NOT NULL THEN
    SELECT array_agg(l.sku_id) INTO v_pending
    FROM (SELECT s.sku_id FROM sku s WHERE s.sku_id = ANY (v_pending) ORDER BY s.sku_id FOR UPDATE SKIP LOCKED) AS l;
    SELECT array_agg(l.sku_id) INTO v_pending
    FROM (SELECT sl.sku_id FROM stock_slot sl WHERE sl.sku_id = ANY (v_pending) AND sl.slot_no = 0
          ORDER BY sl.sku_id FOR UPDATE SKIP LOCKED) AS l;
    SELECT array_agg(l.group_id) INTO v_groups
    FROM (SELECT g.group_id FROM group_buy g WHERE g.group_id = ANY (v_groups) AND g.sku_id = ANY (v_pending)
          ORDER BY g.group_id FOR NO KEY UPDATE SKIP LOCKED) AS l;
  END IF;
  SELECT array_agg(s.sku_id) FILTER (WHERE s.whereabouts = 'HERE'), array_agg(s.sku_id) FILTER (WHERE s.whereabouts = 'LEAVING')
  INTO v_here, v_leaving FROM sku s WHERE s.sku_id = ANY (v_skus);
  IF p_wait THEN
    SELECT array_agg(l.reservation_id) INTO locked
    FROM (SELECT r.reservation_id FROM reservation r
          WHERE r.reservation_id = ANY (p_ids) AND r.group_id IS NOT NULL AND r.sku_id = ANY (v_here)
            AND (r.state <> 'PENDING' OR r.group_id = ANY (v_groups))
          ORDER BY r.sku_id, r.user_id, r.reservation_id
          FOR UPDATE) AS l;
  ELSE
    SELECT array_agg(l.reservation_id) INTO locked
    FROM (SELECT r.reservation_id FROM reservation r
          WHERE r.reservation_id = ANY (p_ids) AND r.group_id IS NOT NULL AND r.sku_id = ANY (v_here)
            AND (r.state <> 'PENDING' OR r.group_id = ANY (v_groups))
          FOR UPDATE SKIP LOCKED) AS l;
    SELECT array_agg(r.reservation_id) INTO busy
    FROM reservation r LEFT JOIN unnest(locked) AS l (id) ON l.id = r.reservation_id
    WHERE r.reservation_id = ANY (p_ids) AND r.group_id IS NOT NULL AND r.sku_id = ANY (v_here) AND l.id IS NULL;
  END IF;
  IF v_leaving IS NOT NULL THEN
    SELECT array_agg(r.reservation_id) INTO leaving
    FROM reservation r WHERE r.reservation_id = ANY (p_ids) AND r.group_id IS NOT NULL AND r.sku_id = ANY (v_leaving);
  END IF;
END
$$;
