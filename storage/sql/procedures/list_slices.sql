-- Every slice of one incarnation.
CREATE OR REPLACE FUNCTION tranche.list_slices(p_incarnation bigint)
RETURNS TABLE (sku_id text, allotted bigint, remaining bigint, version bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT sl.sku_id, sum(sl.allotted)::bigint, sum(sl.remaining)::bigint, max(sl.version)
  FROM stock_slot sl
  WHERE sl.holder = p_incarnation
  GROUP BY sl.sku_id
  ORDER BY sl.sku_id
$$;
