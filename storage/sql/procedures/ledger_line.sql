-- Which line of history this is. It changes with the database (a dump that was restored, another server) and with the
-- server's timeline (a recovery to a point in time, the promotion of a standby). A copy of the files that was put back
-- has the same line, and an older count.
CREATE OR REPLACE FUNCTION tranche.ledger_line()
RETURNS text
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT format('%s/%s/%s/%s/%s', i.ledger_id, (SELECT c.system_identifier FROM pg_control_system() AS c),
                left(pg_walfile_name(pg_current_wal_insert_lsn()), 8),
                (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()),
                'tranche.reservation'::regclass::oid)
  FROM shard_identity i
$$;
