-- The schema's version, and that of the oldest servers that it serves: servers of a version need its schema or a newer one, and
-- ask here at their start. A migration after which servers from before it fail raises the second number.
CREATE OR REPLACE FUNCTION tranche.schema_range()
RETURNS TABLE (version integer, oldest_server integer)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT schema_version(), 9
$$;
