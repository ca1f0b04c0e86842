-- What groups are offered of a SKU, or of all SKUs of this shard for '', closed offers included, by SKU and name. If the SKU is not here,
-- one row that says so: SKU_NOT_FOUND.
CREATE OR REPLACE FUNCTION tranche.list_group_offers(p_sku_id text)
RETURNS SETOF tranche.group_offer_told
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT 'SKU_NOT_FOUND', (NULL::group_offer_fields).*
  WHERE p_sku_id <> ''
    AND NOT EXISTS (SELECT FROM sku s WHERE s.sku_id = p_sku_id AND s.whereabouts IN ('HERE', 'LEAVING'))
  UNION ALL
  SELECT 'DONE', o.*
  FROM group_offer_fields o
  WHERE (p_sku_id = '' OR o.sku_id = p_sku_id)
    AND (SELECT s.whereabouts FROM sku s WHERE s.sku_id = o.sku_id) IN ('HERE', 'LEAVING')
  ORDER BY sku_id, offer_id
$$;
