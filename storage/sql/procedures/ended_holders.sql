-- Incarnations that have ended and still hold slots of SKUs that are on this shard, with their units. That should be
-- none: reclaim_incarnation leaves none behind.
--
-- Goes from holder to holder by the index stock_slot_holder, so the cost is in proportion to the number of holders, and
-- not of slots. Of each it counts p_most slots at most.
CREATE OR REPLACE FUNCTION tranche.ended_holders(p_most integer)
RETURNS TABLE (incarnation_id bigint, units bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
  WITH RECURSIVE holders (holder) AS (
    (SELECT sl.holder FROM stock_slot sl WHERE sl.holder IS NOT NULL ORDER BY sl.holder LIMIT 1)
    UNION ALL
    SELECT n.holder
    FROM holders h CROSS JOIN LATERAL (SELECT sl.holder FROM stock_slot sl WHERE sl.holder > h.holder
                                       ORDER BY sl.holder LIMIT 1) AS n
  )
  SELECT h.holder, l.units
  FROM holders h
  JOIN incarnation i ON i.incarnation_id = h.holder AND i.reclaimed_at IS NOT NULL
  CROSS JOIN LATERAL (
    SELECT sum(x.remaining)::bigint AS units
    FROM (SELECT sl.remaining FROM stock_slot sl
          WHERE sl.holder = h.holder AND (SELECT s.whereabouts FROM sku s WHERE s.sku_id = sl.sku_id) = 'HERE'
          LIMIT p_most) AS x
  ) AS l
  WHERE l.units IS NOT NULL
$$;
