-- Groups of a SKU, of one of its offers ('': of all), in the states (NULL or empty: all), after a place in the order (deadline, id), where
-- p_after_us NULL is its beginning: p_limit at most, each with the outcome DONE. If more may follow, the last row has the outcome NEXT,
-- and is the place to continue after: deadline_us and group_id. If the SKU is not here, one row that says so: SKU_NOT_FOUND.
--
-- The cost of a page is bounded: of each state it reads no more than the page can hold, or ten times as many if it looks for an offer's. So
-- a page may be short, or empty, and not the last.
CREATE OR REPLACE FUNCTION tranche.list_groups(p_sku_id text, p_offer_id text, p_states text[], p_after_us bigint, p_after_id uuid,
                                               p_limit integer)
RETURNS SETOF tranche.group_told
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
DECLARE
  v_states   text[] := CASE WHEN cardinality(p_states) > 0 THEN p_states ELSE ARRAY['FORMING', 'FILLED', 'FAILED', 'CANCELLED'] END;
  v_after    timestamptz := coalesce('epoch'::timestamptz + p_after_us * interval '1 microsecond', '-infinity'::timestamptz);
  v_after_id uuid := coalesce(p_after_id, '00000000-0000-0000-0000-000000000000'::uuid);
  -- Of each state.
  v_looks    bigint := CASE WHEN p_offer_id = '' THEN p_limit::bigint ELSE 10 * p_limit::bigint END + 1;
  v_ids      uuid[];
  v_next     group_told%ROWTYPE;
BEGIN
  IF NOT EXISTS (SELECT FROM sku s WHERE s.sku_id = p_sku_id AND s.whereabouts IN ('HERE', 'LEAVING')) THEN
    v_next.outcome := 'SKU_NOT_FOUND';
    RETURN NEXT v_next;
    RETURN;
  END IF;
  WITH looked AS MATERIALIZED (
    SELECT s.state, n.group_id, n.offer_id, n.deadline_at,
           row_number() OVER (PARTITION BY s.state ORDER BY n.deadline_at, n.group_id) AS look
    FROM (SELECT DISTINCT x AS state FROM unnest(v_states) AS x) AS s
    CROSS JOIN LATERAL (SELECT g.group_id, g.offer_id, g.deadline_at FROM group_buy g
                        WHERE g.sku_id = p_sku_id AND g.state = s.state AND (g.deadline_at, g.group_id) > (v_after, v_after_id)
                        ORDER BY g.deadline_at, g.group_id LIMIT v_looks) AS n
  ), bound AS MATERIALIZED (
    -- Behind it, not all states were looked at. No row: all were, to their end.
    SELECT l.deadline_at, l.group_id FROM looked l WHERE l.look = v_looks ORDER BY l.deadline_at, l.group_id LIMIT 1
  ), found AS MATERIALIZED (
    SELECT l.group_id, l.deadline_at, row_number() OVER (ORDER BY l.deadline_at, l.group_id) AS nth
    FROM looked l
    WHERE (p_offer_id = '' OR l.offer_id = p_offer_id)
      AND NOT EXISTS (SELECT FROM bound b WHERE (l.deadline_at, l.group_id) > (b.deadline_at, b.group_id))
  ), next AS (
    -- The last of a page that others follow; else the bound.
    SELECT f.deadline_at, f.group_id FROM found f WHERE f.nth = p_limit AND EXISTS (SELECT FROM found o WHERE o.nth > p_limit)
    UNION ALL
    SELECT b.deadline_at, b.group_id FROM bound b WHERE NOT EXISTS (SELECT FROM found o WHERE o.nth > p_limit)
  )
  SELECT (SELECT array_agg(f.group_id ORDER BY f.nth) FROM found f WHERE f.nth <= p_limit),
         (SELECT n.group_id FROM next n), (SELECT (extract(epoch FROM n.deadline_at) * 1000000)::bigint FROM next n)
  INTO v_ids, v_next.group_id, v_next.deadline_us;
  RETURN QUERY
  SELECT 'DONE', g.* FROM unnest(v_ids) WITH ORDINALITY AS p (id, nth) JOIN group_fields g ON g.group_id = p.id ORDER BY p.nth;
  IF v_next.group_id IS NOT NULL THEN
    v_next.outcome := 'NEXT';
    RETURN NEXT v_next;
  END IF;
END
$$;
