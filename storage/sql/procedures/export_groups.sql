-- A page of what belongs to a SKU's groups, as a literal of the table's rows, for import_groups. p_part says what:
--   OFFERS   by name, after p_after
--   GROUPS   after the place (p_after, p_after_id)
--   MEMBERS  of groups after that place; those of one group are returned together
-- Either what changed in transaction p_since or later, or all (NULL); of offers always all. `last_user` and `last_id` are the place to go
-- on after. `exported` below p_limit: there are no more.
--
-- A row's xmin is the transaction that last changed it, as in export_reservations. A group that changes may take another place in the
-- order, so its members are returned with it again: pages may have been read before they came there.
CREATE OR REPLACE FUNCTION tranche.export_groups(p_sku_id text, p_part text, p_since text, p_after text, p_after_id uuid,
                                                 p_limit integer)
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
  v_oldest   integer := CASE WHEN p_since IS NULL THEN 2147483647 ELSE age(p_since::xid) END;
  -- A place is 'STATE microseconds' and an id: the order of the index group_of_sku.
  v_state    text := split_part(p_after, ' ', 1);
  v_deadline timestamptz := coalesce('epoch'::timestamptz + nullif(split_part(p_after, ' ', 2), '')::bigint * interval '1 microsecond',
                                     '-infinity'::timestamptz);
BEGIN
  IF p_part = 'OFFERS' THEN
    RETURN QUERY
    SELECT array_agg(o)::text, count(*), max(o.offer_id), p_after_id
    FROM (SELECT x.* FROM group_offer x WHERE x.sku_id = p_sku_id AND x.offer_id > p_after ORDER BY x.offer_id LIMIT p_limit) AS o;
  ELSIF p_part = 'GROUPS' THEN
    RETURN QUERY
    SELECT array_agg(g)::text, count(*),
           (array_agg(concat_ws(' ', g.state, (extract(epoch FROM g.deadline_at) * 1000000)::bigint)
                      ORDER BY g.state DESC, g.deadline_at DESC, g.group_id DESC))[1],
           (array_agg(g.group_id ORDER BY g.state DESC, g.deadline_at DESC, g.group_id DESC))[1]
    FROM (SELECT x.* FROM group_buy x
          WHERE x.sku_id = p_sku_id AND (x.state, x.deadline_at, x.group_id) > (v_state, v_deadline, p_after_id)
            AND age(x.xmin) <= v_oldest
          ORDER BY x.state, x.deadline_at, x.group_id LIMIT p_limit) AS g;
  ELSE
    RETURN QUERY
    SELECT array_agg(m.member)::text, count(*),
           (array_agg(concat_ws(' ', m.state, (extract(epoch FROM m.deadline_at) * 1000000)::bigint)
                      ORDER BY m.state DESC, m.deadline_at DESC, m.group_id DESC))[1],
           (array_agg(m.group_id ORDER BY m.state DESC, m.deadline_at DESC, m.group_id DESC))[1]
    FROM (SELECT y AS member, x.state, x.deadline_at, x.group_id
          FROM group_buy x JOIN group_member y ON y.group_id = x.group_id
          WHERE x.sku_id = p_sku_id AND (x.state, x.deadline_at, x.group_id) > (v_state, v_deadline, p_after_id)
            AND (age(x.xmin) <= v_oldest OR age(y.xmin) <= v_oldest)
          ORDER BY x.state, x.deadline_at, x.group_id FETCH FIRST p_limit ROWS WITH TIES) AS m;
  END IF;
END
$$;
