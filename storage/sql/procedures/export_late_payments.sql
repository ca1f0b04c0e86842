-- A page of a leaving SKU's late payments, by reservation, after p_after. `exported` below p_limit: there are no more.
CREATE OR REPLACE FUNCTION tranche.export_late_payments(p_sku_id text, p_after uuid, p_limit integer)
RETURNS TABLE (page text, exported bigint, last_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET datestyle = 'ISO, YMD'
SET timezone = 'UTC'
AS $$
  SELECT array_agg(p)::text, count(*), (array_agg(p.reservation_id ORDER BY p.reservation_id DESC))[1]
  FROM (SELECT x.* FROM late_payment x WHERE x.sku_id = p_sku_id AND x.reservation_id > p_after
        ORDER BY x.reservation_id FETCH FIRST p_limit ROWS WITH TIES) AS p
$$;
