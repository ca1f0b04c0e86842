-- Which shard this database is, and whether it has been used yet.
CREATE OR REPLACE FUNCTION tranche.shard_identity()
RETURNS TABLE (ledger_id uuid, name text, home_id uuid, used boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT i.ledger_id, i.name, i.home_id,
         EXISTS (SELECT FROM sku) OR EXISTS (SELECT FROM incarnation) OR EXISTS (SELECT FROM shard)
  FROM shard_identity i
$$;
