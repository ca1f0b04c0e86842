-- Notes that an incarnation drains, or serves again. Repeating it changes and audits nothing. Returns the incarnation,
-- or no row if it is not live.
--
--   p_exit       a node that drains: whether its process is to end then. It is told so by ZooKeeper; here it is for the audit log
--   p_told_exit  what it was told before; NULL: nothing. Where that differs, the entry is written also for a node that drains already
-- Servers of before pass neither.
--
-- It locks only the incarnation, so it cannot be part of a cycle.
CREATE OR REPLACE FUNCTION tranche.set_draining(p_incarnation bigint, p_draining boolean, p_actor text,
                                                p_exit boolean DEFAULT NULL, p_told_exit boolean DEFAULT NULL)
RETURNS TABLE (incarnation_id bigint, node_name text, address text, started_us bigint, draining boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  v_changed boolean;
BEGIN
  UPDATE incarnation i SET draining = p_draining
  WHERE i.incarnation_id = p_incarnation AND i.reclaimed_at IS NULL AND i.draining <> p_draining;
  v_changed := FOUND;
  IF v_changed OR p_exit IS DISTINCT FROM p_told_exit THEN
    INSERT INTO audit_log (actor, action, incarnation_id, before, after)
    SELECT p_actor, CASE WHEN p_draining THEN 'drain_incarnation' ELSE 'undrain_incarnation' END, p_incarnation,
           jsonb_strip_nulls(jsonb_build_object('draining', p_draining <> v_changed, 'exit', p_told_exit)),
           jsonb_strip_nulls(jsonb_build_object('draining', p_draining, 'exit', p_exit))
    FROM incarnation i
    WHERE i.incarnation_id = p_incarnation AND i.reclaimed_at IS NULL;
  END IF;
  RETURN QUERY
  SELECT i.incarnation_id, i.node_name, i.address, (extract(epoch FROM i.started_at) * 1000000)::bigint, i.draining
  FROM incarnation i
  WHERE i.incarnation_id = p_incarnation AND i.reclaimed_at IS NULL;
END
$$;
