-- Locks the SKU's row for a change of its stock, quota or state. No row if the SKU is not on this shard; error TR004
-- while it is on its way to another one: then nothing of it may change.
CREATE OR REPLACE FUNCTION tranche.lock_sku(p_sku_id text)
RETURNS SETOF tranche.sku
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
ROWS 1
AS $$
DECLARE
  v_sku sku%ROWTYPE;
BEGIN
  SELECT * INTO v_sku FROM sku WHERE sku_id = p_sku_id FOR UPDATE;
  IF v_sku.whereabouts = 'LEAVING' THEN
    RAISE EXCEPTION 'the SKU % is moving to another shard', p_sku_id USING ERRCODE = 'TR004';
  ELSIF v_sku.whereabouts = 'HERE' THEN
    RETURN NEXT v_sku;
  END IF;
END
$$;
