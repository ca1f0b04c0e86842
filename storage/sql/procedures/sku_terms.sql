-- What update_sku can change of a SKU, in the form of the audit log.
CREATE OR REPLACE FUNCTION tranche.sku_terms(p_sku tranche.sku)
RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT jsonb_build_object(
    'title', p_sku.title, 'price_minor', p_sku.price_minor, 'per_user_limit', p_sku.per_user_limit,
    'hold_seconds', p_sku.hold_seconds, 'max_extensions', p_sku.max_extensions, 'max_hold_seconds', p_sku.max_hold_seconds,
    'opens_at', CASE WHEN isfinite(p_sku.opens_at) THEN p_sku.opens_at END,
    'closes_at', CASE WHEN isfinite(p_sku.closes_at) THEN p_sku.closes_at END, 'presplit', p_sku.presplit,
    'claim_path', p_sku.claim_path)
$$;
