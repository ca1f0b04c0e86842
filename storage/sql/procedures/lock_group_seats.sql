-- Locks what payments for seats may change: the groups of the reservations p_ids, these reservations, and, of a group that the
-- payments may fill, those whose seats are paid. Keeps their SKUs on this shard meanwhile. p_ids must be distinct.
--   locked   those of p_ids that are members and here, to be decided; NULL if none are
--   leaving  those whose SKU is on its way to another shard: they are not locked, and nothing of them may change
--   busy     only without p_wait: they are here, but they, their group, or one who would be confirmed with them, are locked by
--            another transaction
-- Without p_wait, rows that are locked are skipped. Only a move of a SKU to another shard is waited for.
--
-- For pay_group_seats. Locks: pins; the groups, ascending; the reservations in (sku, user, id) order. Groups are locked against
-- payments and against who ends them, but not against joins, which lock them FOR KEY SHARE. Reads after this call are
-- correct: they see what others committed before they released the locks.
CREATE OR REPLACE FUNCTION tranche.lock_group_seats(p_ids uuid[], p_wait boolean, OUT locked uuid[], OUT leaving uuid[],
                                                    OUT busy uuid[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  v_skus    text[];
  v_leaving text[];
  v_groups  uuid[];
  v_held    uuid[];
  v_skipped uuid[];
  -- Those that are locked besides, and their groups.
  v_seated        uuid[];
  v_seated_groups uuid[];
BEGIN
  -- Read without a lock: a reservation's SKU and group never change.
  SELECT array_agg(DISTINCT r.sku_id), array_agg(DISTINCT r.group_id) INTO v_skus, v_groups
  FROM reservation r WHERE r.reservation_id = ANY (p_ids) AND r.group_id IS NOT NULL;
  PERFORM pin_skus(v_skus);
  SELECT array_agg(s.sku_id) FILTER (WHERE s.whereabouts = 'HERE'),
         array_agg(s.sku_id) FILTER (WHERE s.whereabouts = 'LEAVING')
  INTO v_skus, v_leaving FROM sku s WHERE s.sku_id = ANY (v_skus);
  IF p_wait THEN
    SELECT array_agg(l.group_id) INTO v_held
    FROM (SELECT g.group_id FROM group_buy g
          WHERE g.group_id = ANY (v_groups) AND g.sku_id = ANY (v_skus)
          ORDER BY g.group_id
          FOR NO KEY UPDATE) AS l;
  ELSE
    SELECT array_agg(l.group_id) INTO v_held
    FROM (SELECT g.group_id FROM group_buy g
          WHERE g.group_id = ANY (v_groups) AND g.sku_id = ANY (v_skus)
          FOR NO KEY UPDATE SKIP LOCKED) AS l;
    SELECT array_agg(g.group_id) INTO v_skipped FROM group_buy g
    WHERE g.group_id = ANY (v_groups) AND g.sku_id = ANY (v_skus) AND g.group_id <> ALL (coalesce(v_held, '{}'));
  END IF;

  -- Perhaps too many: some of the payments may be of another amount.
  SELECT array_agg(m.reservation_id), array_agg(m.group_id) INTO v_seated, v_seated_groups
  FROM (SELECT x.group_id, count(*) AS payments FROM group_member x
        WHERE x.reservation_id = ANY (p_ids) AND x.group_id = ANY (v_held) AND x.seat_no IS NULL GROUP BY x.group_id) AS p
  -- By the key alone: the index of those that form could be read from end to end.
  CROSS JOIN LATERAL (SELECT x.* FROM group_buy x WHERE x.group_id = p.group_id OFFSET 0) AS g
  CROSS JOIN LATERAL (SELECT x.* FROM group_member x WHERE x.group_id = p.group_id AND x.seat_no IS NOT NULL OFFSET 0) AS m
  WHERE g.state = 'FORMING' AND g.seats_taken + p.payments >= g.seats;
  IF p_wait THEN
    SELECT array_agg(l.reservation_id) INTO locked
    FROM (SELECT r.reservation_id FROM reservation r
          WHERE r.reservation_id = ANY (p_ids || v_seated) AND r.sku_id = ANY (v_skus) AND r.group_id IS NOT NULL
          ORDER BY r.sku_id, r.user_id, r.reservation_id
          FOR UPDATE) AS l;
  ELSE
    SELECT array_agg(l.reservation_id) INTO locked
    FROM (SELECT r.reservation_id FROM reservation r
          WHERE r.reservation_id = ANY (p_ids || v_seated) AND r.sku_id = ANY (v_skus) AND r.group_id IS NOT NULL
            AND r.group_id <> ALL (coalesce(v_skipped, '{}'))
          FOR UPDATE SKIP LOCKED) AS l;
    SELECT v_skipped || array_agg(DISTINCT s.group_id) INTO v_skipped
    FROM unnest(v_seated, v_seated_groups) AS s (id, group_id) LEFT JOIN unnest(locked) AS l (id) ON l.id = s.id
    WHERE l.id IS NULL;
    SELECT array_agg(r.reservation_id) FILTER (WHERE l.id IS NULL OR r.group_id = ANY (v_skipped)) INTO busy
    FROM reservation r LEFT JOIN unnest(locked) AS l (id) ON l.id = r.reservation_id
    WHERE r.reservation_id = ANY (p_ids) AND r.sku_id = ANY (v_skus) AND r.group_id IS NOT NULL;
  END IF;
  SELECT array_agg(c.id) INTO locked
  FROM unnest(p_ids) AS c (id)
  JOIN unnest(locked) AS l (id) ON l.id = c.id
  LEFT JOIN unnest(busy) AS b (id) ON b.id = c.id
  WHERE b.id IS NULL;
  IF v_leaving IS NOT NULL THEN
    SELECT array_agg(r.reservation_id) INTO leaving
    FROM reservation r WHERE r.reservation_id = ANY (p_ids) AND r.sku_id = ANY (v_leaving) AND r.group_id IS NOT NULL;
  END IF;
END
$$;
