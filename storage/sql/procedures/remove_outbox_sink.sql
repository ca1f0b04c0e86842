-- Removes a sink, and discards what waits for it piece by piece. True when this call has done something, and there may be
-- more: it is to be called again, in a transaction of its own, until it says false. Each call that does something is
-- audited. The last sink stays (invalid_parameter_value): nobody would be asked for a refund.
--
-- The first call takes the sink out of outbox_sink: from its commit on nothing is written for it. The others each delete
-- a bounded number of messages, so that none of them lasts long, however many there are. They take no lock but those of
-- the messages: a relay that still has some is left alone until nothing else is there.
--
-- A change that had seen the sink and commits after the last call leaves a message without a sink. outbox_depths shows
-- that, verify_ledger too, and removing the sink once more deletes it.
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
  -- Locked, so that two that are removed at once do not both find the other.
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
    -- Those that are left, if any, are a relay's: wait for it.
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
