-- Of each SKU: the units of its unpaid holds, and those of them whose time is over (overdue), which the next expiry puts
-- back. Paid seats of groups are none of them. Of a SKU, p_most holds at most are looked at: `more` says that there may be others.
-- Of all overdue holds of this shard, the 10000 that are longest overdue.
CREATE OR REPLACE FUNCTION tranche.unpaid_holds(p_sku_ids text[], p_most integer)
RETURNS TABLE (sku_id text, pending bigint, more boolean, overdue bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
  WITH due AS MATERIALIZED (
    SELECT d.sku_id, sum(r.quantity)::bigint AS units
    FROM due_holds(clock_timestamp(), '-infinity', '00000000-0000-0000-0000-000000000000', 10000) AS d
    JOIN reservation r ON r.reservation_id = d.reservation_id
    WHERE NOT d.paid
    GROUP BY d.sku_id
  )
  SELECT k.sku_id, coalesce(p.units, 0)::bigint, p.holds >= p_most, coalesce(d.units, 0)::bigint
  FROM unnest(p_sku_ids) AS k (sku_id)
  CROSS JOIN LATERAL (
    SELECT count(*) AS holds, sum(x.quantity) FILTER (WHERE NOT x.paid) AS units
    FROM (SELECT r.quantity,
                 r.group_id IS NOT NULL
                   AND EXISTS (SELECT FROM group_member m
                               WHERE m.reservation_id = r.reservation_id AND m.seat_no IS NOT NULL OFFSET 0) AS paid
          FROM reservation r WHERE r.sku_id || '' = k.sku_id AND r.finished_at IS NULL
          LIMIT p_most) AS x
  ) AS p
  LEFT JOIN due d ON d.sku_id = k.sku_id
$$;
