-- Removes a sink and discards what waits for it. False if there is none.
--
-- One transaction, so that there is never a message without a sink; it takes as long as it takes to delete what waits
-- (seconds for a million), and meanwhile only relays of this sink wait. The messages that were written meanwhile, by
-- transactions that had seen the sink, are deleted under a lock that waits for these and holds up new writers. That is
-- short, or given up (lock_not_available): nothing has changed then.
CREATE OR REPLACE FUNCTION tranche.remove_outbox_sink(p_name text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET lock_timeout = '2s'
SET enable_seqscan = off
AS $$
BEGIN
  PERFORM FROM outbox_sink WHERE name = p_name;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  DELETE FROM outbox WHERE sink = p_name AND state = 'PENDING';
  DELETE FROM outbox WHERE sink = p_name AND state = 'DEAD';
  DELETE FROM outbox_sink WHERE name = p_name;
  LOCK TABLE outbox IN SHARE ROW EXCLUSIVE MODE;
  DELETE FROM outbox WHERE sink = p_name AND state = 'PENDING';
  DELETE FROM outbox WHERE sink = p_name AND state = 'DEAD';
  RETURN true;
END
$$;
