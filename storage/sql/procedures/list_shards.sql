-- The shards besides home, by name.
CREATE OR REPLACE FUNCTION tranche.list_shards()
RETURNS TABLE (name text, dsn text, added_us bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT s.name, s.dsn, (extract(epoch FROM s.added_at) * 1000000)::bigint FROM shard s ORDER BY s.name
$$;
