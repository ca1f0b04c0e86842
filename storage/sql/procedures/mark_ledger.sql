-- Counts on, and says which line of history this is. Whoever remembers a mark knows by a later one whether everything
-- that this ledger had committed by then is still there: if so, the line is the same and the count is higher.
--
-- The line changes with the database (a dump that was restored, another server) and with the server's timeline (a
-- recovery to a point in time, the promotion of a standby). A copy of the files that was put back has the same line, and
-- an older count.
CREATE OR REPLACE FUNCTION tranche.mark_ledger()
RETURNS TABLE (line text, count bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  v_count bigint;
BEGIN
  UPDATE ledger_mark SET count = count + 1 RETURNING count INTO v_count;
  RETURN QUERY
  SELECT format('%s/%s/%s/%s/%s', i.ledger_id, (SELECT c.system_identifier FROM pg_control_system() AS c),
                left(pg_walfile_name(pg_current_wal_insert_lsn()), 8),
                (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()),
                'tranche.reservation'::regclass::oid),
         v_count
  FROM shard_identity i;
END
$$;
