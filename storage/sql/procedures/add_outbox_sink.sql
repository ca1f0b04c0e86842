-- From now on the sink gets a copy of every message. False if it is there already.
CREATE OR REPLACE FUNCTION tranche.add_outbox_sink(p_name text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
BEGIN
  INSERT INTO outbox_sink (name) VALUES (p_name) ON CONFLICT DO NOTHING;
  RETURN FOUND;
END
$$;
