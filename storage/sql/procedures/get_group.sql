-- A group and its members, in one snapshot. The first row has the group, without a member, and the outcome DONE; or GROUP_NOT_FOUND: there
-- is none of this id here, or p_sku_id names another SKU than its own. Then a row for each member, without the group:
--   p_most 0    none: what everybody may see costs no more than the group's row
--   p_user      only this buyer's row, whatever p_most is but 0
--   otherwise   p_most of them: those with a seat, then those who hold units or have bought them, then those who have left or have
--               not paid in time; each of these in the order of joining
-- Of a member whose reservation retention has taken, the reservation's state is NULL, and its quantity 0.
CREATE OR REPLACE FUNCTION tranche.get_group(p_group uuid, p_most integer, p_user text DEFAULT NULL, p_sku_id text DEFAULT NULL)
RETURNS SETOF tranche.group_member_told
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
  RETURN QUERY
  SELECT 'DONE', g.*, NULL::text, NULL::uuid, NULL::integer, NULL::text, NULL::bigint, NULL::integer, NULL::bigint, NULL::text
  FROM group_fields g
  WHERE g.group_id = p_group AND (p_sku_id IS NULL OR g.sku_id = p_sku_id)
    AND (SELECT s.whereabouts FROM sku s WHERE s.sku_id = g.sku_id) IN ('HERE', 'LEAVING');
  IF NOT FOUND THEN
    RETURN QUERY
    SELECT 'GROUP_NOT_FOUND', (NULL::group_fields).*, NULL::text, NULL::uuid, NULL::integer, NULL::text, NULL::bigint, NULL::integer,
           NULL::bigint, NULL::text;
    RETURN;
  END IF;
  IF p_most = 0 THEN
    RETURN;
  END IF;
  IF p_user IS NOT NULL THEN
    RETURN QUERY
    SELECT NULL::text, (NULL::group_fields).*, m.user_id::text, m.reservation_id, coalesce(r.quantity, 0), r.state,
           (extract(epoch FROM m.joined_at) * 1000000)::bigint, m.seat_no, (extract(epoch FROM m.paid_at) * 1000000)::bigint,
           m.payment_reference
    FROM group_member m LEFT JOIN reservation r ON r.reservation_id = m.reservation_id
    WHERE m.group_id = p_group AND m.user_id = p_user;
    RETURN;
  END IF;
  RETURN QUERY
  SELECT NULL::text, (NULL::group_fields).*, m.user_id::text, m.reservation_id, coalesce(r.quantity, 0), r.state,
         (extract(epoch FROM m.joined_at) * 1000000)::bigint, m.seat_no, (extract(epoch FROM m.paid_at) * 1000000)::bigint,
         m.payment_reference
  FROM group_member m LEFT JOIN reservation r ON r.reservation_id = m.reservation_id
  WHERE m.group_id = p_group
  ORDER BY CASE WHEN m.seat_no IS NOT NULL THEN 0 WHEN r.state IN ('PENDING', 'CONFIRMED') THEN 1 ELSE 2 END, m.joined_at, m.user_id
  LIMIT p_most;
END
$$;
