-- The reservation as it is or, if retention has archived it, as the archive has it. For other procedures.
CREATE OR REPLACE FUNCTION tranche.known_reservation(p_id uuid)
RETURNS SETOF tranche.reservation_columns
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
  SELECT r.* FROM reservation_columns r WHERE r.reservation_id = p_id
  UNION ALL
  SELECT a.* FROM archived_row a
  WHERE a.reservation_id = p_id AND NOT EXISTS (SELECT FROM reservation r WHERE r.reservation_id = p_id)
$$;
