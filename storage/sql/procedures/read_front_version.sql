-- The newest change of the front door. One row.
CREATE OR REPLACE FUNCTION tranche.read_front_version()
RETURNS TABLE (version bigint, stamp text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT d.version, d.stamp::text FROM front_door d
$$;
