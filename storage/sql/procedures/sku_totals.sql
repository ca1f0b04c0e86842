-- Totals that are equal for two copies of a SKU's reservations if neither misses a row or a change.
CREATE OR REPLACE FUNCTION tranche.sku_totals(p_sku_id text)
RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
  SELECT concat_ws(' ', live.reservations, live.units, live.changes, lapsed.reservations, lapsed.units, lapsed.changes)
  FROM (SELECT count(*) AS reservations, coalesce(sum(quantity), 0) AS units,
               coalesce(sum(revision + extensions + CASE state WHEN 'CONFIRMED' THEN 1000 ELSE 0 END), 0) AS changes
        FROM reservation WHERE sku_id = p_sku_id AND state IN ('PENDING', 'CONFIRMED')) AS live,
       (SELECT count(*) AS reservations, coalesce(sum(quantity), 0) AS units,
               coalesce(sum(revision + CASE state WHEN 'EXPIRED' THEN 1000 ELSE 0 END), 0) AS changes
        FROM reservation WHERE sku_id = p_sku_id AND state IN ('CANCELLED', 'EXPIRED')) AS lapsed
$$;
