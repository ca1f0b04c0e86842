-- Deletes up to p_limit groups that ended more than p_age_seconds ago, the oldest first, with their members. Returns how many; 0 also
-- while others have all of them locked. Of members without a seat, 10 * p_limit at most, and a group once it has none of them any more: so
-- a call may return less than p_limit, even 0, while there are others. An unsettled one stays, and so do those of a SKU that is not HERE or is being copied to another
-- shard: the copy is brought up to date by changes, and would not notice deleted rows.
--
-- Locks: pins of SKUs, so that none begins to move meanwhile; then the groups, without waiting.
CREATE OR REPLACE FUNCTION tranche.retire_groups(p_age_seconds bigint, p_limit integer)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
DECLARE
  v_before  timestamptz := clock_timestamp() - make_interval(secs => p_age_seconds);
  v_ids     uuid[];
  v_skus    text[];
BEGIN
  IF p_age_seconds IS NULL OR p_age_seconds < 86400 THEN
    RAISE EXCEPTION 'groups are kept for at least 86400 seconds' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT array_agg(o.group_id), array_agg(DISTINCT o.sku_id) INTO v_ids, v_skus
  FROM (SELECT g.group_id, g.sku_id FROM group_buy g
        WHERE g.state <> 'FORMING' AND g.finished_at < v_before AND NOT g.unsettled
          AND EXISTS (SELECT FROM sku s WHERE s.sku_id = g.sku_id AND s.whereabouts = 'HERE' AND s.move_token IS NULL OFFSET 0)
        ORDER BY g.finished_at, g.group_id
        LIMIT p_limit) AS o;
  PERFORM pin_skus(v_skus);
  SELECT array_agg(l.group_id) INTO v_ids
  FROM (SELECT g.group_id FROM group_buy g
        WHERE g.group_id = ANY (v_ids)
          AND EXISTS (SELECT FROM sku s WHERE s.sku_id = g.sku_id AND s.whereabouts = 'HERE' AND s.move_token IS NULL OFFSET 0)
        FOR UPDATE OF g SKIP LOCKED) AS l;
  DELETE FROM group_member m WHERE m.reservation_id = ANY (ARRAY(
    SELECT x.reservation_id
    FROM unnest(v_ids) AS u (id)
    CROSS JOIN LATERAL (SELECT y.reservation_id FROM group_member y WHERE y.group_id = u.id AND y.seat_no IS NULL
                        LIMIT 10 * p_limit) AS x
    LIMIT 10 * p_limit));
  SELECT array_agg(u.id) INTO v_ids
  FROM unnest(v_ids) AS u (id)
  WHERE NOT EXISTS (SELECT FROM group_member x WHERE x.group_id = u.id AND x.seat_no IS NULL OFFSET 0);
  -- The seats with their group, which counts them.
  DELETE FROM group_member m WHERE m.group_id = ANY (v_ids);
  DELETE FROM group_buy g WHERE g.group_id = ANY (v_ids);
  RETURN coalesce(cardinality(v_ids), 0)::bigint;
END
$$;
