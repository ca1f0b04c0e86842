-- Those of the reservations that exist, for SKUs that are on this shard. Whereabouts by a scalar subquery: looked up by
-- index for the rows that are found, however many SKUs there are.
CREATE OR REPLACE FUNCTION tranche.find_reservations(p_ids uuid[])
RETURNS SETOF tranche.reservation_columns
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
  SELECT r.*
  FROM reservation_columns r
  WHERE r.reservation_id = ANY (p_ids)
    AND (SELECT s.whereabouts FROM sku s WHERE s.sku_id = r.sku_id) IN ('HERE', 'LEAVING')
$$;
