-- How many groups form here, and how many wait for a worker: those whose deadline passed p_overdue_us ago or before, and those that ended
-- as long ago and have unpaid members who still hold units. Counts stop at 10,000 (kMostCounted in storage/ledger/health_ledger.h).
CREATE OR REPLACE FUNCTION tranche.count_groups(p_overdue_us bigint)
RETURNS TABLE (forming bigint, overdue bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
  -- The SKU of each group by itself: a join could read all SKUs first.
  SELECT f.groups, least(d.groups + u.groups, 10000::bigint)
  FROM (SELECT clock_timestamp() - p_overdue_us * interval '1 microsecond' AS since) AS t
  CROSS JOIN LATERAL (SELECT count(*) AS groups
                      FROM (SELECT FROM group_buy g
                            WHERE g.state = 'FORMING' AND (SELECT s.whereabouts FROM sku s WHERE s.sku_id = g.sku_id) = 'HERE'
                            LIMIT 10000) AS x) AS f
  CROSS JOIN LATERAL (SELECT count(*) AS groups
                      FROM (SELECT FROM group_buy g
                            WHERE g.state = 'FORMING' AND g.deadline_at <= t.since
                              AND (SELECT s.whereabouts FROM sku s WHERE s.sku_id = g.sku_id) = 'HERE'
                            LIMIT 10000) AS x) AS d
  CROSS JOIN LATERAL (SELECT count(*) AS groups
                      FROM (SELECT FROM group_buy g
                            WHERE g.unsettled AND g.finished_at <= t.since
                              AND (SELECT s.whereabouts FROM sku s WHERE s.sku_id = g.sku_id) = 'HERE'
                            LIMIT 10000) AS x) AS u
$$;
