-- Takes up to p_units unsold units away: from the pool, then from the fullest slots. Returns how many, or NULL if there
-- is no such SKU; error TR001 if p_expected_stock is given and is not the SKU's stock.
CREATE OR REPLACE FUNCTION tranche.reduce_stock(p_sku_id text, p_units bigint, p_actor text,
                                                p_expected_stock bigint DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_stock   bigint;
  v_version bigint;
  v_taken   bigint;
BEGIN
  IF p_units < 1 THEN
    RAISE EXCEPTION 'units must be at least 1' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT stock, quota_version + 1 INTO v_stock, v_version FROM sku WHERE sku_id = p_sku_id FOR UPDATE;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  IF v_stock <> p_expected_stock THEN
    RAISE EXCEPTION 'the stock of % is %, not %', p_sku_id, v_stock, p_expected_stock USING ERRCODE = 'TR001';
  END IF;
  PERFORM FROM stock_slot WHERE sku_id = p_sku_id ORDER BY slot_no FOR UPDATE;

  WITH ranked AS (
    SELECT slot_no, remaining,
           sum(remaining) OVER (ORDER BY slot_no > 0, remaining DESC, slot_no)::bigint - remaining AS before
    FROM stock_slot WHERE sku_id = p_sku_id
  ), taken AS (
    UPDATE stock_slot sl
    SET allotted = sl.allotted - t.units, remaining = sl.remaining - t.units, version = v_version
    FROM (SELECT slot_no, least(remaining, p_units - before) AS units FROM ranked WHERE before < p_units) AS t
    WHERE sl.sku_id = p_sku_id AND sl.slot_no = t.slot_no AND t.units > 0
    RETURNING t.units
  )
  SELECT coalesce(sum(units), 0)::bigint INTO v_taken FROM taken;

  UPDATE sku
  SET stock = stock - v_taken, quota_version = v_version,
      pool_waiting = (SELECT sl.remaining > 0 FROM stock_slot sl WHERE sl.sku_id = p_sku_id AND sl.slot_no = 0)
  WHERE sku_id = p_sku_id;
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  VALUES (p_actor, 'reduce_stock', p_sku_id, jsonb_build_object('stock', v_stock),
          jsonb_build_object('stock', v_stock - v_taken, 'asked', p_units));
  RETURN v_taken;
END
$$;
