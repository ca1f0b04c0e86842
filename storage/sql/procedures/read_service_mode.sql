-- What set_service_mode has set, and when and by whom. One row.
CREATE OR REPLACE FUNCTION tranche.read_service_mode()
RETURNS TABLE (mode text, reason text, changed_us bigint, changed_by text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT m.mode, m.reason, (extract(epoch FROM m.changed_at) * 1000000)::bigint, m.changed_by FROM service_mode m
$$;
