-- The SKU does not arrive: from now on further steps of its mover fail. Its rows wait for purge_departed. False if it
-- is here: then the move was finished.
CREATE OR REPLACE FUNCTION tranche.cancel_arrival(p_sku_id text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_state text;
BEGIN
  SELECT whereabouts INTO v_state FROM sku WHERE sku_id = p_sku_id FOR UPDATE;
  UPDATE sku SET whereabouts = 'GONE', move_token = NULL WHERE sku_id = p_sku_id AND v_state = 'ARRIVING';
  RETURN v_state IS NULL OR v_state NOT IN ('HERE', 'LEAVING');
END
$$;
