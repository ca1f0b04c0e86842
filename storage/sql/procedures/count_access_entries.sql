-- How many entries the front door's access list has at p_now.
CREATE OR REPLACE FUNCTION tranche.count_access_entries(p_now timestamptz)
RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT count(*) FROM access_entry e WHERE NOT e.removed AND (e.expires_at IS NULL OR e.expires_at > p_now)
$$;
