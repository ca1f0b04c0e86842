-- SKUs after p_after in ascending order, with what is unsold. `holds_may_lapse` looks no further than the first unpaid
-- hold it meets.
CREATE OR REPLACE FUNCTION tranche.list_skus(p_after text, p_limit integer, p_only text DEFAULT NULL)
RETURNS TABLE (sku_id text, title text, price_minor bigint, currency text, stock bigint, per_user_limit integer,
               hold_seconds integer, opens_us bigint, closes_us bigint, closed boolean, slots_per_slice integer,
               unsold bigint, quota_version bigint, holds_may_lapse boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT s.sku_id, s.title, s.price_minor, s.currency, s.stock, s.per_user_limit, s.hold_seconds,
         CASE WHEN isfinite(s.opens_at) THEN (extract(epoch FROM s.opens_at) * 1000000)::bigint END,
         CASE WHEN isfinite(s.closes_at) THEN (extract(epoch FROM s.closes_at) * 1000000)::bigint END,
         s.state = 'CLOSED', s.slots_per_slice,
         (SELECT sum(sl.remaining) FROM stock_slot sl WHERE sl.sku_id = s.sku_id)::bigint, s.quota_version,
         EXISTS (SELECT FROM reservation r WHERE r.sku_id = s.sku_id AND r.state = 'PENDING')
  FROM sku s
  WHERE s.sku_id > p_after AND (p_only IS NULL OR s.sku_id = p_only)
  ORDER BY s.sku_id
  LIMIT p_limit
$$;
