-- Removes up to p_units unsold units: from the pool, then from the fullest slots. Returns how many, or NULL if there is
-- no such SKU; error TR001 if p_expected_stock is given and is not the SKU's stock, TR004 while the SKU moves to
-- another shard.
CREATE OR REPLACE FUNCTION tranche.reduce_stock(p_sku_id text, p_units bigint, p_actor text,
                                                p_expected_stock bigint DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_stock bigint;
  v_taken bigint;
BEGIN
  IF p_units < 1 THEN
    RAISE EXCEPTION 'units must be at least 1' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT stock INTO v_stock FROM lock_sku(p_sku_id);
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  IF v_stock <> p_expected_stock THEN
    RAISE EXCEPTION 'the stock of % is %, not %', p_sku_id, v_stock, p_expected_stock USING ERRCODE = 'TR001';
  END IF;
  PERFORM FROM stock_slot WHERE sku_id = p_sku_id ORDER BY slot_no FOR UPDATE;
  v_taken := take_units(p_sku_id, p_units);
  UPDATE sku SET stock = stock - v_taken WHERE sku_id = p_sku_id;
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  VALUES (p_actor, 'reduce_stock', p_sku_id, jsonb_build_object('stock', v_stock),
          jsonb_build_object('stock', v_stock - v_taken, 'asked', p_units));
  RETURN v_taken;
END
$$;
