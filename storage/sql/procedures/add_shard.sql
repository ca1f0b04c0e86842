-- Notes at home where a shard is; another DSN than before means that it has moved. Returns false if nothing changed.
CREATE OR REPLACE FUNCTION tranche.add_shard(p_name text, p_dsn text, p_actor text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_before text;
BEGIN
  IF (SELECT name <> 'home' FROM shard_identity) THEN
    RAISE EXCEPTION 'shards are added at home' USING ERRCODE = 'TR002';
  END IF;
  SELECT dsn INTO v_before FROM shard WHERE name = p_name FOR UPDATE;
  IF v_before = p_dsn THEN
    RETURN false;
  END IF;
  INSERT INTO shard (name, dsn) VALUES (p_name, p_dsn) ON CONFLICT (name) DO UPDATE SET dsn = excluded.dsn;
  INSERT INTO audit_log (actor, action, before, after)
  VALUES (p_actor, 'add_shard', jsonb_strip_nulls(jsonb_build_object('shard', p_name, 'dsn', v_before)),
          jsonb_build_object('shard', p_name, 'dsn', p_dsn));
  RETURN true;
END
$$;
