-- A copy that begins now must later fetch the changes of this transaction and later ones.
CREATE OR REPLACE FUNCTION tranche.move_snapshot()
RETURNS text
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT pg_snapshot_xmin(pg_current_snapshot())::xid::text
$$;
