-- Of the SKUs on this shard, those after p_after in ascending order, or only p_only; found by the index either way.
CREATE OR REPLACE FUNCTION tranche.list_skus(p_after text, p_limit integer, p_only text DEFAULT NULL)
RETURNS SETOF tranche.sku_state
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
-- Never scan all of `reservation`, whatever old statistics say.
SET enable_seqscan = off
AS $$
  SELECT s.*
  FROM sku_state s
  -- '~' sorts after every character of an id.
  WHERE s.sku_id > p_after AND s.sku_id BETWEEN coalesce(p_only, '') AND coalesce(p_only, '~')
  ORDER BY s.sku_id
  LIMIT p_limit
$$;
