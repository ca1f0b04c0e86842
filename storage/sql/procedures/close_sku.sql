-- Ends the sale of a SKU until it is reopened: when this has committed, no claim is booked any more, not even one that is
-- under way. Its slots stay as they are: unsold units are just not sold. False if there is no such SKU; error TR004 while it
-- moves to another shard.
CREATE OR REPLACE FUNCTION tranche.close_sku(p_sku_id text, p_actor text)
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
  IF v_before.state = 'CLOSED' THEN
    RETURN true;
  END IF;
  UPDATE sku SET state = 'CLOSED', quota_version = quota_version + 1, terms_version = terms_version + 1
  WHERE sku_id = p_sku_id;
  -- A sale locks its slots before it reads whether the SKU is open. Those that have read so end first; later ones wait
  -- here, and then read that it is closed.
  PERFORM FROM stock_slot WHERE sku_id = p_sku_id ORDER BY slot_no FOR UPDATE;
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  VALUES (p_actor, 'close_sku', p_sku_id, jsonb_build_object('state', v_before.state),
          jsonb_build_object('state', 'CLOSED'));
  RETURN true;
END
$$;
