-- The SKUs were announced with the given versions: list_returned_skus does not list them any more, unless they have
-- another version by now, or another transaction has locked them: those stay listed, and are announced once more.
--
-- Locks only the rows of SKUs, and waits for none.
CREATE OR REPLACE FUNCTION tranche.ack_returned_skus(p_skus text[], p_versions bigint[])
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
  v_skus text[];
BEGIN
  SELECT array_agg(l.sku_id) INTO v_skus
  FROM (SELECT s.sku_id FROM sku s WHERE s.sku_id = ANY (p_skus) AND s.units_returned
        ORDER BY s.sku_id FOR UPDATE SKIP LOCKED) AS l;
  UPDATE sku s SET units_returned = false
  FROM unnest(p_skus, p_versions) AS a (sku_id, version)
  WHERE s.sku_id = a.sku_id AND s.sku_id = ANY (v_skus) AND s.quota_version = a.version AND s.units_returned AND s.whereabouts = 'HERE';
END
$$;
