-- Notes that an incarnation drains, or serves again. Repeating it changes and audits nothing. Returns the incarnation,
-- or no row if it is not live.
--
-- It locks only the incarnation, so it cannot be part of a cycle.
CREATE OR REPLACE FUNCTION tranche.set_draining(p_incarnation bigint, p_draining boolean, p_actor text)
RETURNS TABLE (incarnation_id bigint, node_name text, address text, started_us bigint, draining boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  UPDATE incarnation i SET draining = p_draining
  WHERE i.incarnation_id = p_incarnation AND i.reclaimed_at IS NULL AND i.draining <> p_draining;
  IF FOUND THEN
    INSERT INTO audit_log (actor, action, incarnation_id, before, after)
    VALUES (p_actor, CASE WHEN p_draining THEN 'drain_incarnation' ELSE 'undrain_incarnation' END, p_incarnation,
            jsonb_build_object('draining', NOT p_draining), jsonb_build_object('draining', p_draining));
  END IF;
  RETURN QUERY
  SELECT i.incarnation_id, i.node_name, i.address, (extract(epoch FROM i.started_at) * 1000000)::bigint, i.draining
  FROM incarnation i
  WHERE i.incarnation_id = p_incarnation AND i.reclaimed_at IS NULL;
END
$$;
