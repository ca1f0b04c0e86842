-- Lets this transaction wait at its end for the synchronous standby, if there is one, as a transaction that changes
-- something does. What it has read before was committed before, so the standby has that, too, then.
--
-- Without this a row can be read that the standby lacks: if the wait of its own transaction is cancelled, the row becomes
-- visible, and is gone after a failover.
CREATE OR REPLACE FUNCTION tranche.await_standby()
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
BEGIN
  IF current_setting('synchronous_standby_names') <> '' THEN
    -- A record of the write-ahead log that nobody reads.
    PERFORM pg_logical_emit_message(true, 'tranche', '');
  END IF;
END
$$;
