-- The SKU is at p_target now: its rows here are void. Call it only after the target's finish_arrival of the same
-- attempt. Repeating it is harmless.
CREATE OR REPLACE FUNCTION tranche.finish_leave(p_sku_id text, p_target text, p_token uuid, p_actor text)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
BEGIN
  UPDATE sku SET whereabouts = 'GONE', move_token = NULL, pool_waiting = false, units_returned = false
  WHERE sku_id = p_sku_id AND whereabouts = 'LEAVING' AND other_shard = p_target AND move_token = p_token;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  DELETE FROM stock_slot WHERE sku_id = p_sku_id;
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  VALUES (p_actor, 'move_sku', p_sku_id, jsonb_build_object('whereabouts', 'LEAVING'),
          jsonb_build_object('whereabouts', 'GONE', 'to', p_target));
END
$$;
