-- A page of a leaving SKU's messages that are not delivered yet, by reservation, after p_after. `exported` below
-- p_limit: there are no more. A message that is delivered here meanwhile is delivered twice: delivery is only at least
-- once.
CREATE OR REPLACE FUNCTION tranche.export_outbox(p_sku_id text, p_after uuid, p_limit integer)
RETURNS TABLE (page text, exported bigint, last_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET datestyle = 'ISO, YMD'
SET timezone = 'UTC'
AS $$
  SELECT array_agg(m)::text, count(*), (array_agg(m.reservation_id ORDER BY m.reservation_id DESC))[1]
  FROM (SELECT x.* FROM outbox x WHERE x.sku_id = p_sku_id AND x.reservation_id > p_after
        ORDER BY x.reservation_id FETCH FIRST p_limit ROWS WITH TIES) AS m
$$;
