-- For expire_due: holds whose time is over and whose SKUs are on this shard, after a place in the order (due time, id), p_limit of them. A
-- function of its own because of its settings, which would harm the other queries there.
--
-- `paid`: it is that of a member of a group who has paid, and ends with its group. Such ones are among the p_limit, so that the limit bounds
-- what is read, and the caller can go on after the last, but they are nobody's overdue holds.
--
-- Whereabouts and seats by subqueries: never a join, for the same reason.
CREATE OR REPLACE FUNCTION tranche.due_holds(p_now timestamptz, p_after_due timestamptz, p_after_id uuid, p_limit integer)
RETURNS TABLE (reservation_id uuid, sku_id text, expires_at timestamptz, paid boolean, group_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
-- Only an index scan in the order of the due times, and ids sorted within each of them: while the table has no statistics,
-- PostgreSQL would read and sort everything that is due.
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT r.reservation_id, r.sku_id::text, r.expires_at,
         r.group_id IS NOT NULL
           AND EXISTS (SELECT FROM group_member m WHERE m.reservation_id = r.reservation_id AND m.seat_no IS NOT NULL OFFSET 0),
         r.group_id
  FROM reservation r
  WHERE r.state = 'PENDING' AND r.expires_at <= p_now AND r.expires_at >= p_after_due
    AND (r.expires_at > p_after_due OR r.reservation_id > p_after_id)
    AND (SELECT s.whereabouts FROM sku s WHERE s.sku_id = r.sku_id) = 'HERE'
  ORDER BY r.expires_at, r.reservation_id
  LIMIT p_limit;
END
$$;
