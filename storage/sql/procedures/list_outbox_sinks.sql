-- The sinks that get the messages.
CREATE OR REPLACE FUNCTION tranche.list_outbox_sinks()
RETURNS TABLE (name text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT s.name::text FROM outbox_sink s ORDER BY s.name
$$;
