-- A page of a SKU's reservations as a literal of the table's rows, for import_reservations: the live ones by buyer, or
-- the lapsed ones by (buyer, id), after the given ones. Either those that changed in transaction p_since or later, or
-- all (NULL). `exported` below p_limit: there are no more.
--
-- A row's xmin is the transaction that last changed it, so young enough rows bring a copy up to date.
CREATE OR REPLACE FUNCTION tranche.export_reservations(p_sku_id text, p_live boolean, p_since text, p_after_user text,
                                                       p_after_id uuid, p_limit integer)
RETURNS TABLE (page text, exported bigint, last_user text, last_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET datestyle = 'ISO, YMD'
SET timezone = 'UTC'
AS $$
DECLARE
  -- Both ages are counted from the same moment.
  v_oldest integer := CASE WHEN p_since IS NULL THEN 2147483647 ELSE age(p_since::xid) END;
BEGIN
  IF p_live THEN
    -- A buyer's live ones are few, and are returned together.
    RETURN QUERY
    SELECT array_agg(r)::text, count(*), max(r.user_id), NULL::uuid
    FROM (SELECT x.* FROM reservation x
          WHERE x.sku_id = p_sku_id AND x.state IN ('PENDING', 'CONFIRMED') AND x.user_id > p_after_user
            AND age(x.xmin) <= v_oldest
          ORDER BY x.user_id FETCH FIRST p_limit ROWS WITH TIES) AS r;
  ELSE
    RETURN QUERY
    SELECT array_agg(r)::text, count(*), max(r.user_id),
           (array_agg(r.reservation_id ORDER BY r.user_id DESC, r.reservation_id DESC))[1]
    FROM (SELECT x.* FROM reservation x
          WHERE x.sku_id = p_sku_id AND x.state IN ('CANCELLED', 'EXPIRED')
            AND (x.user_id, x.reservation_id) > (p_after_user, p_after_id) AND age(x.xmin) <= v_oldest
          ORDER BY x.user_id, x.reservation_id LIMIT p_limit) AS r;
  END IF;
END
$$;
