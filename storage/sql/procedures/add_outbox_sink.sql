-- The sink gets a copy of every message from now on. False if it is there already.
CREATE OR REPLACE FUNCTION tranche.add_outbox_sink(p_name text, p_actor text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
BEGIN
  INSERT INTO outbox_sink (name) VALUES (p_name) ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  VALUES (p_actor, 'add_outbox_sink', NULL, '{}', jsonb_build_object('sink', p_name));
  RETURN true;
END
$$;
