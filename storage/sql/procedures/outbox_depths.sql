-- Per sink: how many messages wait, how many are dead, and the age of the oldest waiting one (0 without any). Includes
-- sinks that were removed and have messages left. Reads every message once.
CREATE OR REPLACE FUNCTION tranche.outbox_depths()
RETURNS TABLE (sink text, pending bigint, dead bigint, oldest_us bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT coalesce(s.name, m.sink)::text, coalesce(m.pending, 0), coalesce(m.dead, 0),
         coalesce(greatest((date_part('epoch', clock_timestamp() - m.oldest) * 1000000)::bigint, 0), 0)
  FROM outbox_sink s
  FULL JOIN (SELECT o.sink, count(*) FILTER (WHERE o.state = 'PENDING') AS pending,
                    count(*) FILTER (WHERE o.state = 'DEAD') AS dead,
                    min(o.created_at) FILTER (WHERE o.state = 'PENDING') AS oldest
             FROM outbox o GROUP BY o.sink) AS m ON m.sink = s.name
  ORDER BY coalesce(s.name, m.sink)
$$;
