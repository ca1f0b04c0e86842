-- Sets what nodes do for buyers, and for which reason, which NORMAL has none of. Nodes hear of it as of a policy.
--
-- Two rows, as read_service_mode has them: how it was, `place` 1, and how it is, 2. What is set already changes and audits nothing, so
-- a call whose answer was lost can be repeated.
CREATE OR REPLACE FUNCTION tranche.set_service_mode(p_mode text, p_reason text, p_actor text)
RETURNS TABLE (place integer, mode text, reason text, changed_us bigint, changed_by text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
-- A change that waits for a synchronous standby has the door locked: rather fail than hold a connection for as long.
SET lock_timeout = '2s'
AS $$
#variable_conflict use_column
DECLARE
  v_reason text := CASE WHEN p_mode = 'NORMAL' THEN '' ELSE p_reason END;
  v_before service_mode%ROWTYPE;
BEGIN
  PERFORM FROM front_door FOR UPDATE;
  SELECT m.* INTO v_before FROM service_mode m;
  IF v_before.mode <> p_mode OR v_before.reason <> v_reason THEN
    PERFORM next_front_version();
    UPDATE service_mode
    SET mode = p_mode, reason = v_reason, changed_at = clock_timestamp(), changed_by = split_part(p_actor, E'\n', 1);
    INSERT INTO audit_log (actor, action, before, after)
    VALUES (p_actor, 'set_service_mode', jsonb_build_object('mode', v_before.mode, 'reason', v_before.reason),
            jsonb_build_object('mode', p_mode, 'reason', v_reason));
  END IF;
  RETURN QUERY
  SELECT 1, v_before.mode, v_before.reason, (extract(epoch FROM v_before.changed_at) * 1000000)::bigint, v_before.changed_by;
  RETURN QUERY SELECT 2, r.* FROM read_service_mode() AS r;
END
$$;
