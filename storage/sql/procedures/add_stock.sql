-- Adds units to a SKU's pool. False if there is no such SKU; error TR001 if p_expected_stock is given and is not the
-- SKU's stock, TR004 while the SKU moves to another shard.
CREATE OR REPLACE FUNCTION tranche.add_stock(p_sku_id text, p_units bigint, p_actor text,
                                             p_expected_stock bigint DEFAULT NULL)
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
  SELECT stock, quota_version + 1 INTO v_stock, v_version FROM lock_sku(p_sku_id);
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  IF v_stock <> p_expected_stock THEN
    RAISE EXCEPTION 'the stock of % is %, not %', p_sku_id, v_stock, p_expected_stock USING ERRCODE = 'TR001';
  END IF;
  UPDATE sku SET stock = v_stock + p_units, quota_version = v_version, pool_waiting = true WHERE sku_id = p_sku_id;
  UPDATE stock_slot SET allotted = allotted + p_units, remaining = remaining + p_units, version = v_version
  WHERE sku_id = p_sku_id AND slot_no = 0;
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  VALUES (p_actor, 'add_stock', p_sku_id, jsonb_build_object('stock', v_stock),
          jsonb_build_object('stock', v_stock + p_units));
  RETURN true;
END
$$;
