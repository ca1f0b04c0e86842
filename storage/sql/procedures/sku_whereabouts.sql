-- What this shard knows about where a SKU is. No row: nothing. `leftovers`: it has gone, and its rows here wait to be
-- purged. `moves` and `only_reserved` as in list_whereabouts.
CREATE OR REPLACE FUNCTION tranche.sku_whereabouts(p_sku_id text)
RETURNS TABLE (whereabouts text, other_shard text, move_token uuid, quota_version bigint, leftovers boolean, moves bigint,
               only_reserved boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
  SELECT s.whereabouts, s.other_shard, s.move_token, s.quota_version,
         s.whereabouts = 'GONE' AND (
           EXISTS (SELECT FROM reservation r WHERE r.sku_id = s.sku_id AND r.state IN ('PENDING', 'CONFIRMED'))
           OR EXISTS (SELECT FROM reservation r WHERE r.sku_id = s.sku_id AND r.state IN ('CANCELLED', 'EXPIRED'))
           OR EXISTS (SELECT FROM late_payment p WHERE p.sku_id = s.sku_id)
           OR EXISTS (SELECT FROM group_buy g WHERE g.sku_id = s.sku_id)
           OR EXISTS (SELECT FROM group_offer o WHERE o.sku_id = s.sku_id)),
         s.moves, s.only_reserved
  FROM sku s WHERE s.sku_id = p_sku_id
$$;
