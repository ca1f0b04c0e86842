-- Makes this unused database the shard p_name of the home p_home, with the sinks that home has. True if that changed
-- it, false if it was that shard before; error TR002 if it is something else.
CREATE OR REPLACE FUNCTION tranche.adopt_shard(p_name text, p_home uuid, p_sinks text[], p_actor text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_identity shard_identity%ROWTYPE;
BEGIN
  IF p_name = 'home' OR p_name !~ '^[a-z0-9][a-z0-9_-]{0,31}$' THEN
    RAISE EXCEPTION 'no name for a shard: %', p_name USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT * INTO v_identity FROM shard_identity FOR UPDATE;
  IF v_identity.name = p_name AND v_identity.home_id = p_home THEN
    RETURN false;
  ELSIF v_identity.ledger_id = p_home THEN
    RAISE EXCEPTION 'this database is the home shard itself' USING ERRCODE = 'TR002';
  ELSIF v_identity.home_id IS NOT NULL THEN
    RAISE EXCEPTION 'this database is the shard % of %', v_identity.name,
      CASE WHEN v_identity.home_id = p_home THEN 'this system already' ELSE 'another system' END
      USING ERRCODE = 'TR002';
  ELSIF (SELECT used FROM tranche.shard_identity()) THEN
    RAISE EXCEPTION 'this database has been used as a system of its own' USING ERRCODE = 'TR002';
  END IF;
  UPDATE shard_identity SET name = p_name, home_id = p_home;
  DELETE FROM outbox_sink WHERE name <> ALL (p_sinks);
  INSERT INTO outbox_sink (name) SELECT unnest(p_sinks) ON CONFLICT DO NOTHING;
  INSERT INTO audit_log (actor, action, before, after)
  VALUES (p_actor, 'adopt_shard', '{}', jsonb_build_object('shard', p_name));
  RETURN true;
END
$$;
