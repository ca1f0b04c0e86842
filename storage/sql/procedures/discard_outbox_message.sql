-- Deletes one message undelivered; the audit log keeps all of it. The next message is due then. Returns how many: 0 or
-- 1.
CREATE OR REPLACE FUNCTION tranche.discard_outbox_message(p_id uuid, p_revision integer, p_sink text, p_actor text)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_before outbox%ROWTYPE;
BEGIN
  DELETE FROM outbox o
  WHERE o.reservation_id = p_id AND o.revision = p_revision AND o.sink = p_sink
  RETURNING * INTO v_before;
  IF NOT FOUND THEN
    RETURN 0::bigint;
  END IF;
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  VALUES (p_actor, 'discard_outbox_message', v_before.sku_id, to_jsonb(v_before) - 'sku_id', '{}');
  PERFORM wake_outbox(ARRAY[p_id], ARRAY[p_sink]);
  RETURN 1::bigint;
END
$$;
