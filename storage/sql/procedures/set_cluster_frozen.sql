-- Freezes or thaws this shard's balancer: whoever leads reads it in every round. Repeating it changes and audits nothing.
CREATE OR REPLACE FUNCTION tranche.set_cluster_frozen(p_frozen boolean, p_actor text)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
BEGIN
  UPDATE cluster_setting SET frozen = p_frozen, changed_at = clock_timestamp(), changed_by = split_part(p_actor, E'\n', 1)
  WHERE frozen <> p_frozen;
  IF FOUND THEN
    INSERT INTO audit_log (actor, action, before, after)
    VALUES (p_actor, CASE WHEN p_frozen THEN 'freeze_cluster' ELSE 'thaw_cluster' END,
            jsonb_build_object('frozen', NOT p_frozen), jsonb_build_object('frozen', p_frozen));
  END IF;
END
$$;
