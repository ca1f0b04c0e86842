-- As find_reservations, but what is found is also on the synchronous standby, if there is one.
CREATE OR REPLACE FUNCTION tranche.find_replicated(p_ids uuid[])
RETURNS SETOF tranche.reservation_columns
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
BEGIN
  RETURN QUERY SELECT r.* FROM find_reservations(p_ids) AS r;
  IF FOUND THEN
    PERFORM await_standby();
  END IF;
END
$$;
