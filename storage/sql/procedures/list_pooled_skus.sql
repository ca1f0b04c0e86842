-- SKUs whose units should be handed out. The index sku_pool_waiting holds only these, so the cost is in proportion to
-- the result, however many SKUs there are.
CREATE OR REPLACE FUNCTION tranche.list_pooled_skus(p_after text, p_limit integer)
RETURNS TABLE (sku_id text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
  SELECT s.sku_id
  FROM sku s
  WHERE s.sku_id > p_after AND s.presplit AND s.state = 'OPEN' AND NOT s.quota_frozen AND s.pool_waiting
    AND s.whereabouts = 'HERE'
  ORDER BY s.sku_id
  LIMIT p_limit
$$;
