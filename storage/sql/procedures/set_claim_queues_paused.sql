-- Lets the consumers of the claim queues rest, or go on: they read it every second. Repeating it changes and audits nothing.
CREATE OR REPLACE FUNCTION tranche.set_claim_queues_paused(p_paused boolean, p_actor text)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
BEGIN
  UPDATE cluster_setting SET claims_paused = p_paused WHERE claims_paused <> p_paused;
  IF FOUND THEN
    INSERT INTO audit_log (actor, action, before, after)
    VALUES (p_actor, CASE WHEN p_paused THEN 'pause_claim_queues' ELSE 'resume_claim_queues' END,
            jsonb_build_object('claims_paused', NOT p_paused), jsonb_build_object('claims_paused', p_paused));
  END IF;
END
$$;
