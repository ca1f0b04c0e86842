-- How many groups form here, and how many wait for a worker: those whose deadline passed p_overdue_us ago or before, and those that ended
-- as long ago and have unpaid members who still hold units.
CREATE OR REPLACE FUNCTION tranche.count_groups(p_overdue_us bigint)
RETURNS TABLE (forming bigint, overdue bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
  SELECT f.forming, f.overdue + u.unsettled
  FROM (SELECT clock_timestamp() - p_overdue_us * interval '1 microsecond' AS since) AS t
  CROSS JOIN LATERAL (SELECT count(*) AS forming, count(*) FILTER (WHERE g.deadline_at <= t.since) AS overdue
                      FROM group_buy g JOIN sku s ON s.sku_id = g.sku_id AND s.whereabouts = 'HERE'
                      WHERE g.state = 'FORMING') AS f
  CROSS JOIN LATERAL (SELECT count(*) AS unsettled
                      FROM group_buy g JOIN sku s ON s.sku_id = g.sku_id AND s.whereabouts = 'HERE'
                      WHERE g.unsettled AND g.finished_at <= t.since) AS u
$$;
