-- Pools whose units a balancer should hand out, p_limit of them, with the version at which each last changed. Who looks
-- twice and finds the same version knows that nobody has touched it.
CREATE OR REPLACE FUNCTION tranche.waiting_pools(p_limit integer)
RETURNS TABLE (sku_id text, version bigint, units bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
  SELECT l.sku_id, sl.version, sl.remaining
  FROM list_pooled_skus('', p_limit) AS l JOIN stock_slot sl ON sl.sku_id = l.sku_id AND sl.slot_no = 0
  ORDER BY l.sku_id
$$;
