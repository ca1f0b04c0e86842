-- The SKUs were announced with the given versions: list_returned_skus does not list them any more, unless they have
-- another version by now.
--
-- Locks only the rows of SKUs, ascending, which fits every lock order.
CREATE OR REPLACE FUNCTION tranche.ack_returned_skus(p_skus text[], p_versions bigint[])
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
  PERFORM FROM sku s WHERE s.sku_id = ANY (p_skus) AND s.units_returned ORDER BY s.sku_id FOR UPDATE;
  UPDATE sku s SET units_returned = false
  FROM unnest(p_skus, p_versions) AS a (sku_id, version)
  WHERE s.sku_id = a.sku_id AND s.quota_version = a.version AND s.units_returned AND s.whereabouts = 'HERE';
END
$$;
