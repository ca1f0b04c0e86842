-- This database may have been restored to before a move of the SKU: p_shard has it after p_moves moves. If fewer have
-- brought it to the copy here, that one is given up as by give_up_copy. False if not: the copy here is the newer one, or
-- there is none, or it is leaving for p_shard, and its mover or the next one ends that.
CREATE OR REPLACE FUNCTION tranche.give_up_older_copy(p_sku_id text, p_shard text, p_moves bigint, p_actor text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
BEGIN
  PERFORM pin_skus(ARRAY[p_sku_id], true);
  -- Draws come before SKUs in the order of locks, and their pins before them.
  PERFORM pin_draws(array_agg(draw_id), true, true) FROM draw WHERE sku_id = p_sku_id AND finished_at IS NULL;
  PERFORM FROM draw WHERE sku_id = p_sku_id ORDER BY draw_id FOR UPDATE;
  PERFORM FROM sku
  WHERE sku_id = p_sku_id AND moves < p_moves
    AND (whereabouts = 'HERE' OR (whereabouts = 'LEAVING' AND other_shard <> p_shard))
  FOR UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  -- Here, so that it waits no longer than its caller wants to; give_up_copy has a patience of its own.
  PERFORM FROM stock_slot WHERE sku_id = p_sku_id ORDER BY slot_no FOR UPDATE;
  PERFORM give_up_copy(p_sku_id, p_shard, p_actor);
  RETURN true;
END
$$;
