-- Undoes close_sku: units are sold again, as the window and a pause allow. Closing has moved no unit. Repeating it changes and
-- audits nothing. False if there is no such SKU; error TR004 while it moves to another shard.
CREATE OR REPLACE FUNCTION tranche.reopen_sku(p_sku_id text, p_actor text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_before sku%ROWTYPE;
BEGIN
  SELECT * INTO v_before FROM lock_sku(p_sku_id);
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  IF v_before.state = 'OPEN' THEN
    RETURN true;
  END IF;
  UPDATE sku SET state = 'OPEN', quota_version = quota_version + 1, terms_version = terms_version + 1
  WHERE sku_id = p_sku_id;
  -- A sale whose first statement saw the SKU closed must find it so when it says why: if it saw it open by then, it would say
  -- that units are missing, and its node would believe that its counter is too high.
  PERFORM FROM stock_slot WHERE sku_id = p_sku_id ORDER BY slot_no FOR UPDATE;
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  VALUES (p_actor, 'reopen_sku', p_sku_id, jsonb_build_object('state', v_before.state),
          jsonb_build_object('state', 'OPEN'));
  RETURN true;
END
$$;
