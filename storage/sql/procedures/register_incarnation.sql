-- Registers a new incarnation of a front node. It holds nothing yet. p_draining: its node was draining already. That is
-- audited with the node as actor, which passes on its operator's request.
CREATE OR REPLACE FUNCTION tranche.register_incarnation(p_node_name text, p_address text,
                                                        p_draining boolean DEFAULT false)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_id bigint;
BEGIN
  IF (SELECT name <> 'home' FROM shard_identity) THEN
    RAISE EXCEPTION 'this database is a shard and not the home of its system: it numbers no incarnations'
      USING ERRCODE = 'TR002';
  END IF;
  INSERT INTO incarnation (node_name, address, draining) VALUES (p_node_name, p_address, p_draining)
  RETURNING incarnation_id INTO v_id;
  IF p_draining THEN
    INSERT INTO audit_log (actor, action, automatic, incarnation_id, before, after)
    VALUES (p_node_name, 'register_incarnation', true, v_id, '{}', jsonb_build_object('draining', true));
  END IF;
  RETURN v_id;
END
$$;
