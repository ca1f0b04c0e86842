-- From this commit on nothing about the SKU changes here: it sells no unit, and its reservations stay as they are.
-- Waits only for transactions that are under way: changes of reservations hold the advisory lock, sales their slots,
-- moves of units the SKU's row. Repeating it is harmless. Error TR002 if the SKU is not here or another attempt to move
-- it has begun, or if it has got a draw since prepare_leave.
CREATE OR REPLACE FUNCTION tranche.begin_leave(p_sku_id text, p_token uuid, p_target text, p_actor text)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
-- Others would queue behind a lock that we wait for: rather fail, and be called again.
SET lock_timeout = '2s'
AS $$
DECLARE
  v_sku sku%ROWTYPE;
BEGIN
  PERFORM pin_skus(ARRAY[p_sku_id], true);
  SELECT * INTO v_sku FROM sku WHERE sku_id = p_sku_id AND move_token = p_token FOR UPDATE;
  IF v_sku.whereabouts = 'LEAVING' AND v_sku.other_shard = p_target THEN
    RETURN;
  ELSIF v_sku.whereabouts IS DISTINCT FROM 'HERE' THEN
    RAISE EXCEPTION 'SKU % is not here, or moves by another attempt', p_sku_id USING ERRCODE = 'TR002';
  ELSIF EXISTS (SELECT FROM draw d WHERE d.sku_id = p_sku_id AND d.removed_at IS NULL) THEN
    RAISE EXCEPTION 'SKU % has a draw, and a SKU with a draw does not move: remove it first (tranchectl draw remove)', p_sku_id
      USING ERRCODE = 'TR002';
  END IF;
  PERFORM FROM stock_slot WHERE sku_id = p_sku_id ORDER BY slot_no FOR UPDATE;
  UPDATE sku SET whereabouts = 'LEAVING', other_shard = p_target WHERE sku_id = p_sku_id;
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  VALUES (p_actor, 'begin_move_sku', p_sku_id, jsonb_build_object('whereabouts', 'HERE'),
          jsonb_build_object('whereabouts', 'LEAVING', 'to', p_target));
END
$$;
