-- The transaction from which on changes are news to a copy that begins now.
CREATE OR REPLACE FUNCTION tranche.move_snapshot()
RETURNS text
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT pg_snapshot_xmin(pg_current_snapshot())::xid::text
$$;
