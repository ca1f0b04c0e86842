-- Locks the SKU's row and its pool slot, and waits for both, but only for a moment. False if another transaction keeps
-- them for longer, or if the SKU is not here.
--
-- For other procedures, which hold no lock yet. Whoever only ever skips what is locked may never get a row that one
-- short transaction after the other locks; here it gets its turn.
CREATE OR REPLACE FUNCTION tranche.await_pool(p_sku_id text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET lock_timeout = '100ms'
AS $$
BEGIN
  PERFORM FROM sku WHERE sku_id = p_sku_id AND whereabouts = 'HERE' FOR UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM FROM stock_slot WHERE sku_id = p_sku_id AND slot_no = 0 FOR UPDATE;
  RETURN FOUND;
EXCEPTION WHEN lock_not_available THEN
  RETURN false;
END
$$;
