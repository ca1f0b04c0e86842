-- What this shard knows about where SKUs are: of the first p_limit after p_after, ascending. `only_reserved`: of the SKU
-- there is nothing but the id here, noted by reserve_sku. `moves`: how many had brought it here, or to where it arrives.
CREATE OR REPLACE FUNCTION tranche.list_whereabouts(p_after text, p_limit integer)
RETURNS TABLE (sku_id text, whereabouts text, other_shard text, quota_version bigint, only_reserved boolean, moves bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT s.sku_id, s.whereabouts, s.other_shard, s.quota_version, s.only_reserved, s.moves
  FROM sku s
  WHERE s.sku_id > p_after
  ORDER BY s.sku_id
  LIMIT p_limit
$$;
