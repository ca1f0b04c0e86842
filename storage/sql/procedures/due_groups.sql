-- For expire_groups: groups that form and whose deadline has passed, the longest overdue first, and then those that are over and unsettled,
-- p_limit of each, of SKUs that are on this shard and not among p_without. `paid`: how many seats of one that still forms are taken. A
-- function of its own because of its settings, which would harm the other queries there.
--
-- Whereabouts by a scalar subquery: never a join, so that the limit bounds what is read. Groups of SKUs in p_without are read past: a SKU
-- has 10000 that form at most.
CREATE OR REPLACE FUNCTION tranche.due_groups(p_now timestamptz, p_without text[], p_limit integer)
RETURNS TABLE (group_id uuid, sku_id text, paid integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
-- Only an index scan in order: while the table has no statistics, PostgreSQL would read and sort everything that is due.
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT g.group_id, g.sku_id::text, g.seats_taken FROM group_buy g
  WHERE g.state = 'FORMING' AND g.deadline_at <= p_now AND g.sku_id <> ALL (p_without)
    AND (SELECT s.whereabouts FROM sku s WHERE s.sku_id = g.sku_id) = 'HERE'
  ORDER BY g.deadline_at, g.group_id
  LIMIT p_limit;
  RETURN QUERY
  SELECT g.group_id, g.sku_id::text, 0 FROM group_buy g
  WHERE g.unsettled AND g.sku_id <> ALL (p_without)
    AND (SELECT s.whereabouts FROM sku s WHERE s.sku_id = g.sku_id) = 'HERE'
  ORDER BY g.group_id
  LIMIT p_limit;
END
$$;
