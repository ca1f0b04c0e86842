-- The move is cancelled: the SKU sells here as before. Call it only after the target's cancel_arrival, so that the move
-- cannot be finished there after all, and only for the attempt that was cancelled there. Returns false if that attempt
-- is over.
CREATE OR REPLACE FUNCTION tranche.cancel_leave(p_sku_id text, p_token uuid, p_actor text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_sku sku%ROWTYPE;
BEGIN
  -- Locks incarnations before the SKU, so that none of its holders ends meanwhile.
  PERFORM FROM incarnation i
  WHERE i.incarnation_id IN (SELECT sl.holder FROM stock_slot sl WHERE sl.sku_id = p_sku_id)
  ORDER BY i.incarnation_id FOR SHARE;
  SELECT * INTO v_sku FROM sku WHERE sku_id = p_sku_id FOR UPDATE;
  IF v_sku.move_token IS DISTINCT FROM p_token OR v_sku.whereabouts NOT IN ('HERE', 'LEAVING') THEN
    RETURN false;
  END IF;
  UPDATE sku SET whereabouts = 'HERE', other_shard = NULL, move_token = NULL, quota_version = quota_version + 1
  WHERE sku_id = p_sku_id;
  IF v_sku.whereabouts = 'LEAVING' THEN
    -- Incarnations that ended meanwhile left their units here, because nothing of the SKU could change.
    PERFORM pool_ended_slots(p_sku_id, v_sku.quota_version + 1);
  END IF;
  -- While it is only being copied, it is still HERE, and where it was to go is not noted.
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  VALUES (p_actor, 'abort_move_sku', p_sku_id,
          jsonb_strip_nulls(jsonb_build_object('whereabouts', v_sku.whereabouts, 'to', v_sku.other_shard, 'moving', true)),
          jsonb_build_object('whereabouts', 'HERE', 'moving', false));
  RETURN true;
END
$$;
