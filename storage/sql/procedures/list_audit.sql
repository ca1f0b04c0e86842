-- The audit log, the newest first: entries with an id below p_before (0: from the newest), of one SKU or of all ('').
-- Two statements, so that each is planned for the index that has its order.
CREATE OR REPLACE FUNCTION tranche.list_audit(p_sku_id text, p_before bigint, p_limit integer)
RETURNS TABLE (audit_id bigint, at_us bigint, actor text, action text, sku_id text, incarnation_id bigint, before text,
               after text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  v_before bigint := CASE WHEN p_before > 0 THEN p_before ELSE 9223372036854775807 END;
BEGIN
  IF p_sku_id = '' THEN
    RETURN QUERY
    SELECT a.audit_id, (extract(epoch FROM a.at) * 1000000)::bigint, a.actor, a.action, coalesce(a.sku_id, ''),
           coalesce(a.incarnation_id, 0), a.before::text, a.after::text
    FROM audit_log a
    WHERE a.audit_id < v_before
    ORDER BY a.audit_id DESC
    LIMIT p_limit;
  ELSE
    RETURN QUERY
    SELECT a.audit_id, (extract(epoch FROM a.at) * 1000000)::bigint, a.actor, a.action, a.sku_id::text,
           coalesce(a.incarnation_id, 0), a.before::text, a.after::text
    FROM audit_log a
    WHERE a.sku_id = p_sku_id AND a.audit_id < v_before
    ORDER BY a.audit_id DESC
    LIMIT p_limit;
  END IF;
END
$$;
