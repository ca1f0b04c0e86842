-- A new incarnation of a front node. It holds nothing yet.
CREATE OR REPLACE FUNCTION tranche.register_incarnation(p_node_name text, p_address text)
RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  INSERT INTO incarnation (node_name, address) VALUES (p_node_name, p_address) RETURNING incarnation_id
$$;
