-- Makes one message due, dead or not; a dead one gets all its attempts again. If a relay is delivering it now, it may
-- be delivered twice. Returns how many: 0 or 1.
CREATE OR REPLACE FUNCTION tranche.retry_outbox_message(p_id uuid, p_revision integer, p_sink text, p_actor text)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_before outbox%ROWTYPE;
  v_after  outbox%ROWTYPE;
  v_key    constant jsonb := jsonb_build_object('reservation_id', p_id, 'revision', p_revision, 'sink', p_sink);
BEGIN
  SELECT * INTO v_before FROM outbox o
  WHERE o.reservation_id = p_id AND o.revision = p_revision AND o.sink = p_sink FOR UPDATE;
  IF NOT FOUND THEN
    RETURN 0::bigint;
  END IF;
  UPDATE outbox o
  SET state = 'PENDING', attempts = CASE WHEN o.state = 'DEAD' THEN 0 ELSE o.attempts END,
      next_attempt_at = clock_timestamp()
  WHERE o.reservation_id = p_id AND o.revision = p_revision AND o.sink = p_sink
  RETURNING * INTO v_after;
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  SELECT p_actor, 'retry_outbox_message', v_before.sku_id,
         v_key || jsonb_build_object('state', v_before.state, 'attempts', v_before.attempts,
                                     'next_attempt_at', v_before.next_attempt_at),
         v_key || jsonb_build_object('state', v_after.state, 'attempts', v_after.attempts,
                                     'next_attempt_at', v_after.next_attempt_at);
  RETURN 1::bigint;
END
$$;
