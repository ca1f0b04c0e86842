-- Registers here an incarnation that home has numbered. Repeating it changes nothing. False if it has ended here: it
-- never sells here again.
CREATE OR REPLACE FUNCTION tranche.register_incarnation_as(p_incarnation bigint, p_node_name text, p_address text,
                                                           p_draining boolean)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
BEGIN
  IF (SELECT name = 'home' FROM shard_identity) THEN
    RAISE EXCEPTION 'home numbers incarnations itself' USING ERRCODE = 'TR002';
  END IF;
  INSERT INTO incarnation (incarnation_id, node_name, address, draining)
  VALUES (p_incarnation, p_node_name, p_address, p_draining)
  ON CONFLICT DO NOTHING;
  RETURN EXISTS (SELECT FROM incarnation WHERE incarnation_id = p_incarnation AND reclaimed_at IS NULL);
END
$$;
