-- 32 bytes with 244 random bits, from the server's own source.
CREATE OR REPLACE FUNCTION tranche.random_key()
RETURNS bytea
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
$$;
