-- Adds units to a SKU, into the pool. False if there is no such SKU.
CREATE OR REPLACE FUNCTION tranche.add_stock(p_sku_id text, p_units bigint, p_actor text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_stock   bigint;
  v_version bigint;
BEGIN
  IF p_units < 1 THEN
    RAISE EXCEPTION 'units must be at least 1' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  UPDATE sku SET stock = stock + p_units, quota_version = quota_version + 1
  WHERE sku_id = p_sku_id RETURNING stock, quota_version INTO v_stock, v_version;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  UPDATE stock_slot SET allotted = allotted + p_units, remaining = remaining + p_units, version = v_version
  WHERE sku_id = p_sku_id AND slot_no = 0;
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  VALUES (p_actor, 'add_stock', p_sku_id, jsonb_build_object('stock', v_stock - p_units),
          jsonb_build_object('stock', v_stock));
  RETURN true;
END
$$;
