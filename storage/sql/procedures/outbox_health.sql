-- As outbox_depths, for the sinks that there are, but at a bounded cost: counts stop at p_most, and the age is that of
-- the oldest of those p_most messages that are due first.
CREATE OR REPLACE FUNCTION tranche.outbox_health(p_most integer)
RETURNS TABLE (sink text, pending bigint, dead bigint, oldest_us bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
  SELECT s.name::text, p.messages, d.messages,
         coalesce(greatest((date_part('epoch', clock_timestamp() - p.oldest) * 1000000)::bigint, 0), 0)
  FROM outbox_sink s
  CROSS JOIN LATERAL (
    SELECT count(*) AS messages, min(x.created_at) AS oldest
    FROM (SELECT o.created_at FROM outbox o WHERE o.sink = s.name AND o.state = 'PENDING'
          ORDER BY o.next_attempt_at LIMIT p_most) AS x
  ) AS p
  CROSS JOIN LATERAL (
    SELECT count(*) AS messages
    FROM (SELECT o.revision FROM outbox o WHERE o.sink = s.name AND o.state = 'DEAD' LIMIT p_most) AS x
  ) AS d
  ORDER BY s.name
$$;
