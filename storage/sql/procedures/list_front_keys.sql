-- The front door's keys, by id.
CREATE OR REPLACE FUNCTION tranche.list_front_keys()
RETURNS TABLE (key_id bigint, use text, since_us bigint, secret text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT k.key_id, k.use, (extract(epoch FROM k.since) * 1000000)::bigint, encode(k.secret, 'hex') FROM front_key k ORDER BY k.key_id
$$;
