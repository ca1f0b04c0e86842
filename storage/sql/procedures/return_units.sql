-- Puts units back into the pools: p_units[i] of p_skus[i], which may repeat. For other procedures, which have locked
-- the rows of the SKUs and their pool slots by then, in this order.
--
-- quota_version grows only if the pool has fewer units than a buyer may ask for (at most 16: ScarceBelow in
-- storage/ledger/sku_ledger.h), and then units_returned is set: that SKU may be announced as sold out, or as having too
-- few units. So within one version, what is announced as scarce does not become more. If each return raised the
-- version, the balancer's moves, which expect the version that they have read, would never succeed.
CREATE OR REPLACE FUNCTION tranche.return_units(p_skus text[], p_units bigint[])
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
  WITH returned AS MATERIALIZED (
    SELECT x.sku_id, sum(x.units)::bigint AS units
    FROM unnest(p_skus, p_units) AS x (sku_id, units) GROUP BY x.sku_id
  ), versions AS (
    UPDATE sku s SET pool_waiting = true, units_returned = true, quota_version = s.quota_version + 1
    FROM returned r JOIN stock_slot pool ON pool.sku_id = r.sku_id AND pool.slot_no = 0
    WHERE s.sku_id = r.sku_id AND r.units > 0
      AND (NOT s.pool_waiting OR pool.remaining < least(s.per_user_limit, 16))
    RETURNING s.sku_id, s.quota_version
  )
  UPDATE stock_slot sl
  SET allotted = sl.allotted + r.units, remaining = sl.remaining + r.units,
      version = coalesce(v.quota_version, sl.version)
  FROM returned r LEFT JOIN versions v ON v.sku_id = r.sku_id
  WHERE sl.sku_id = r.sku_id AND sl.slot_no = 0;
END
$$;
