-- Removes a sink and discards what waits for it. False if there is none.
--
-- One transaction, so that there is never a message without a sink; it takes as long as it takes to delete what waits
-- (seconds for a million), and meanwhile only relays of this sink wait. The messages that were written meanwhile, by
-- transactions that had seen the sink, are deleted under a lock that waits for these and holds up new writers. That is
-- short, or given up (lock_not_available): nothing has changed then.
CREATE OR REPLACE FUNCTION tranche.remove_outbox_sink(p_name text, p_actor text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET lock_timeout = '2s'
SET enable_seqscan = off
AS $$
DECLARE
  v_discarded bigint := 0::bigint;
  v_rows      bigint;
BEGIN
  PERFORM FROM outbox_sink WHERE name = p_name;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  DELETE FROM outbox WHERE sink = p_name AND state = 'PENDING';
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  v_discarded := v_discarded + v_rows;
  DELETE FROM outbox WHERE sink = p_name AND state = 'DEAD';
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  v_discarded := v_discarded + v_rows;
  DELETE FROM outbox_sink WHERE name = p_name;
  LOCK TABLE outbox IN SHARE ROW EXCLUSIVE MODE;
  DELETE FROM outbox WHERE sink = p_name AND state = 'PENDING';
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  v_discarded := v_discarded + v_rows;
  DELETE FROM outbox WHERE sink = p_name AND state = 'DEAD';
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  v_discarded := v_discarded + v_rows;
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  VALUES (p_actor, 'remove_outbox_sink', NULL, jsonb_build_object('sink', p_name, 'messages', v_discarded), '{}');
  RETURN true;
END
$$;
