-- Removes a sink, and discards its waiting messages piece by piece. True when this call has done something and there
-- may be more: call it again, in a transaction of its own, until it returns false. Each call that does something is
-- audited. The last sink stays (invalid_parameter_value): otherwise nobody would be asked for a refund.
--
-- The first call removes the sink from outbox_sink: from its commit on no message is written for it. Each further call
-- deletes a bounded number of messages, so that none takes long, however many there are. They only lock the messages:
-- if a relay still has some, they leave those until nothing else is left.
--
-- A change that has seen the sink and commits after the last call leaves a message without a sink. outbox_depths shows
-- that, and so does verify_ledger; removing the sink once more deletes it.
CREATE OR REPLACE FUNCTION tranche.remove_outbox_sink(p_name text, p_actor text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  c_batch     constant integer := 20000;
  v_sinks     text[];
  v_messages  tid[];
  v_discarded bigint;
BEGIN
  -- Locked, so that of two sinks that are removed at once, one sees that it is the last.
  SELECT array_agg(s.name) INTO v_sinks FROM (SELECT k.name FROM outbox_sink k ORDER BY k.name FOR UPDATE) AS s;
  IF p_name = ANY (v_sinks) THEN
    IF cardinality(v_sinks) = 1 THEN
      RAISE EXCEPTION '% is the only sink: add another first', p_name USING ERRCODE = 'invalid_parameter_value';
    END IF;
    DELETE FROM outbox_sink WHERE name = p_name;
    INSERT INTO audit_log (actor, action, sku_id, before, after)
    VALUES (p_actor, 'remove_outbox_sink', NULL, jsonb_build_object('sink', p_name), '{}');
    RETURN true;
  END IF;

  SELECT array_agg(m.ctid) INTO v_messages
  FROM (SELECT o.ctid FROM outbox o WHERE o.sink = p_name AND o.state = 'PENDING' LIMIT c_batch FOR UPDATE SKIP LOCKED) AS m;
  IF v_messages IS NULL THEN
    SELECT array_agg(m.ctid) INTO v_messages
    FROM (SELECT o.ctid FROM outbox o WHERE o.sink = p_name AND o.state = 'DEAD' LIMIT c_batch FOR UPDATE SKIP LOCKED) AS m;
  END IF;
  IF v_messages IS NULL THEN
    -- If any are left, a relay has them: wait for it.
    SELECT array_agg(m.ctid) INTO v_messages
    FROM (SELECT o.ctid FROM outbox o WHERE o.sink = p_name AND o.state IN ('PENDING', 'DEAD') LIMIT c_batch FOR UPDATE) AS m;
  END IF;
  DELETE FROM outbox WHERE ctid = ANY (v_messages);
  GET DIAGNOSTICS v_discarded = ROW_COUNT;
  IF v_discarded > 0 THEN
    INSERT INTO audit_log (actor, action, sku_id, before, after)
    VALUES (p_actor, 'remove_outbox_sink', NULL, jsonb_build_object('sink', p_name, 'messages', v_discarded), '{}');
  END IF;
  RETURN v_discarded > 0;
END
$$;
