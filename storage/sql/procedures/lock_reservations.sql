-- Locks the reservations of a batch for a change, and keeps their SKUs on this shard meanwhile. p_ids must be distinct.
--   locked   those that are here, to be changed; NULL if none are
--   leaving  those whose SKU is on its way to another shard: they are not locked, and nothing of them may change
--   busy     only without p_wait: they are here, but they, or what p_pools needs, are locked by another transaction
--   members  those that were made for a group, which procedures of their own change: they are neither locked nor in any of the
--            others. With p_members they are as all others, and this is NULL
-- p_pools: their units may come back. Then the rows of the SKUs of pending ones and their pool slots are locked first.
-- Without p_wait, rows that are locked are skipped. Only a move of a SKU to another shard is waited for.
--
-- For other procedures. Locks: pins; with p_pools the rows of the SKUs, ascending, and their pool slots, in this order;
-- the reservations in (sku, user, id) order. Reads after this call are correct: they see what others committed before
-- they released the locks.
CREATE OR REPLACE FUNCTION tranche.lock_reservations(p_ids uuid[], p_pools boolean DEFAULT false,
                                                     p_wait boolean DEFAULT true, p_members boolean DEFAULT false,
                                                     OUT locked uuid[], OUT leaving uuid[], OUT busy uuid[],
                                                     OUT members uuid[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  v_skus    text[];
  v_pending text[];
  v_leaving text[];
BEGIN
  IF (SELECT count(DISTINCT id) FROM unnest(p_ids) AS id) <> cardinality(p_ids) THEN
    RAISE EXCEPTION 'reservation ids of a batch must be distinct' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- Read without a lock: a reservation's SKU and group never change, nor does any state other than PENDING.
  SELECT array_agg(DISTINCT r.sku_id) FILTER (WHERE p_members OR r.group_id IS NULL),
         array_agg(DISTINCT r.sku_id) FILTER (WHERE p_pools AND r.state = 'PENDING' AND (p_members OR r.group_id IS NULL)),
         array_agg(r.reservation_id) FILTER (WHERE NOT p_members AND r.group_id IS NOT NULL)
  INTO v_skus, v_pending, members FROM reservation r WHERE r.reservation_id = ANY (p_ids);
  PERFORM pin_skus(v_skus);
  IF v_pending IS NOT NULL AND p_wait THEN
    PERFORM FROM sku s WHERE s.sku_id = ANY (v_pending) ORDER BY s.sku_id FOR UPDATE;
  ELSIF v_pending IS NOT NULL THEN
    SELECT array_agg(l.sku_id) INTO v_pending
    FROM (SELECT s.sku_id FROM sku s WHERE s.sku_id = ANY (v_pending) ORDER BY s.sku_id FOR UPDATE SKIP LOCKED) AS l;
  END IF;
  SELECT array_agg(s.sku_id) FILTER (WHERE s.whereabouts = 'HERE'),
         array_agg(s.sku_id) FILTER (WHERE s.whereabouts = 'LEAVING')
  INTO v_skus, v_leaving FROM sku s WHERE s.sku_id = ANY (v_skus);
  IF v_pending IS NOT NULL AND p_wait THEN
    PERFORM FROM stock_slot sl WHERE sl.sku_id = ANY (v_pending) AND sl.slot_no = 0 ORDER BY sl.sku_id FOR UPDATE;
  ELSIF v_pending IS NOT NULL THEN
    SELECT array_agg(l.sku_id) INTO v_pending
    FROM (SELECT sl.sku_id FROM stock_slot sl WHERE sl.sku_id = ANY (v_pending) AND sl.slot_no = 0
          ORDER BY sl.sku_id FOR UPDATE SKIP LOCKED) AS l;
  END IF;
  -- Skips a pending one whose SKU had none when its row would have been locked, or whose SKU was skipped.
  IF p_wait THEN
    SELECT array_agg(l.reservation_id) INTO locked
    FROM (SELECT r.reservation_id FROM reservation r
          WHERE r.reservation_id = ANY (p_ids) AND r.sku_id = ANY (v_skus) AND (p_members OR r.group_id IS NULL)
            AND (NOT p_pools OR r.state <> 'PENDING' OR r.sku_id = ANY (v_pending))
          ORDER BY r.sku_id, r.user_id, r.reservation_id
          FOR UPDATE) AS l;
  ELSE
    SELECT array_agg(l.reservation_id) INTO locked
    FROM (SELECT r.reservation_id FROM reservation r
          WHERE r.reservation_id = ANY (p_ids) AND r.sku_id = ANY (v_skus) AND (p_members OR r.group_id IS NULL)
            AND (NOT p_pools OR r.state <> 'PENDING' OR r.sku_id = ANY (v_pending))
          FOR UPDATE SKIP LOCKED) AS l;
    SELECT array_agg(r.reservation_id) INTO busy
    FROM reservation r LEFT JOIN unnest(locked) AS l (id) ON l.id = r.reservation_id
    WHERE r.reservation_id = ANY (p_ids) AND r.sku_id = ANY (v_skus) AND (p_members OR r.group_id IS NULL) AND l.id IS NULL;
  END IF;
  IF v_leaving IS NOT NULL THEN
    SELECT array_agg(r.reservation_id) INTO leaving
    FROM reservation r WHERE r.reservation_id = ANY (p_ids) AND r.sku_id = ANY (v_leaving) AND (p_members OR r.group_id IS NULL);
  END IF;
END
$$;
