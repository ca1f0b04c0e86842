-- SKUs that must be announced again, because units came back to a pool with few units or were taken by a late payment. The
-- index sku_units_returned holds only these. Ascending, those after p_after.
CREATE OR REPLACE FUNCTION tranche.list_returned_skus(p_after text, p_limit integer)
RETURNS TABLE (sku_id text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
  SELECT s.sku_id
  FROM sku s
  WHERE s.units_returned AND s.whereabouts = 'HERE' AND s.sku_id > p_after
  ORDER BY s.sku_id
  LIMIT p_limit
$$;
