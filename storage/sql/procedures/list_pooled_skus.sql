-- SKUs on sale with units in the pool.
CREATE OR REPLACE FUNCTION tranche.list_pooled_skus(p_after text, p_limit integer)
RETURNS TABLE (sku_id text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT s.sku_id
  FROM sku s JOIN stock_slot sl ON sl.sku_id = s.sku_id AND sl.slot_no = 0
  WHERE s.sku_id > p_after AND s.state = 'OPEN' AND sl.remaining > 0
  ORDER BY s.sku_id
  LIMIT p_limit
$$;
