-- Incarnations that may hold units.
CREATE OR REPLACE FUNCTION tranche.list_live_incarnations()
RETURNS TABLE (incarnation_id bigint, node_name text, address text, started_us bigint, draining boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT i.incarnation_id, i.node_name, i.address, (extract(epoch FROM i.started_at) * 1000000)::bigint, i.draining
  FROM incarnation i
  WHERE i.reclaimed_at IS NULL
  ORDER BY i.incarnation_id
$$;
