-- Pauses the sale of a SKU, or resumes it: when a pause has committed, no claim is booked any more, not even one that is under
-- way. p_reason is told to buyers; '' for none. Slots stay as they are, and units move on. Repeating it changes and audits
-- nothing. False if there is no such SKU; error TR001 if p_expected_terms_version is given, is not that of the terms, and
-- something would change; TR004 while it moves to another shard.
CREATE OR REPLACE FUNCTION tranche.set_sku_paused(p_sku_id text, p_paused boolean, p_reason text, p_actor text,
                                                  p_expected_terms_version bigint DEFAULT NULL)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_before sku%ROWTYPE;
  v_reason text := CASE WHEN p_paused THEN nullif(p_reason, '') END;
BEGIN
  SELECT * INTO v_before FROM lock_sku(p_sku_id);
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  IF v_before.paused = p_paused AND v_before.pause_reason IS NOT DISTINCT FROM v_reason THEN
    RETURN true;
  END IF;
  IF v_before.terms_version <> p_expected_terms_version THEN
    RAISE EXCEPTION 'the terms of % have version %, not %', p_sku_id, v_before.terms_version, p_expected_terms_version
      USING ERRCODE = 'TR001';
  END IF;
  UPDATE sku
  SET paused = p_paused, pause_reason = v_reason, quota_version = quota_version + 1, terms_version = terms_version + 1
  WHERE sku_id = p_sku_id;
  -- As close_sku: sales that have read that it is not paused end first.
  PERFORM FROM stock_slot WHERE sku_id = p_sku_id ORDER BY slot_no FOR UPDATE;
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  VALUES (p_actor, CASE WHEN p_paused THEN 'pause_sku' ELSE 'resume_sku' END, p_sku_id,
          jsonb_build_object('paused', v_before.paused, 'pause_reason', v_before.pause_reason),
          jsonb_build_object('paused', p_paused, 'pause_reason', v_reason));
  RETURN true;
END
$$;
