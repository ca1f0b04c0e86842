-- One SKU's slices in one snapshot, the pool (holder 0) first. No row if there is no such SKU. For reading by hand, and
-- for older servers without read_quotas.
CREATE OR REPLACE FUNCTION tranche.read_quota(p_sku_id text)
RETURNS TABLE (quota_version bigint, closed boolean, holder bigint, allotted bigint, remaining bigint, version bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT s.quota_version, s.state = 'CLOSED', coalesce(sl.holder, 0), sum(sl.allotted)::bigint,
         sum(sl.remaining)::bigint, max(sl.version)
  FROM sku s JOIN stock_slot sl ON sl.sku_id = s.sku_id
  WHERE s.sku_id = p_sku_id
  GROUP BY s.quota_version, s.state, sl.holder
  ORDER BY coalesce(sl.holder, 0)
$$;
