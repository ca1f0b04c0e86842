-- The invariants of the SKU, or with '' of all SKUs, in one snapshot: for servers that do not know verify_page. The last
-- row's detail is '<SKUs checked> <reservations checked>'.
CREATE OR REPLACE FUNCTION tranche.verify_ledger(p_sku_id text)
RETURNS TABLE (rule text, sku_id text, detail text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
BEGIN
  RETURN QUERY
  SELECT v.rule, v.sku_id, CASE WHEN v.rule IS NULL THEN regexp_replace(v.detail, ' [0-9]+$', '') ELSE v.detail END
  FROM verify_page(p_sku_id, '', 2147483647) v;
END
$$;
