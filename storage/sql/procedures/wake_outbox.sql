-- Makes the next message of each (reservation, sink) due, after the one that it waited for is removed; see
-- claim_outbox. Those that were tried already keep their time. Also locks a message that is due anyway: a claim may be
-- about to put it off. One that another transaction locks for longer than half a second is not woken: it is due when the
-- one before it would have been.
CREATE OR REPLACE FUNCTION tranche.wake_outbox(p_ids uuid[], p_sinks text[])
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET lock_timeout = '500ms'
AS $$
BEGIN
  UPDATE outbox o
  SET next_attempt_at = clock_timestamp()
  FROM (SELECT DISTINCT c.id, c.sink FROM unnest(p_ids, p_sinks) AS c (id, sink)) AS c
  CROSS JOIN LATERAL (SELECT x.revision FROM outbox x
                      WHERE x.reservation_id = c.id AND x.sink = c.sink AND x.state IS NOT DISTINCT FROM 'PENDING'
                      ORDER BY x.revision LIMIT 1) AS next
  WHERE o.reservation_id = c.id AND o.revision = next.revision AND o.sink = c.sink AND o.attempts = 0;
EXCEPTION WHEN lock_not_available THEN
  UPDATE outbox o
  SET next_attempt_at = clock_timestamp()
  FROM (SELECT DISTINCT c.id, c.sink FROM unnest(p_ids, p_sinks) AS c (id, sink)) AS c
  CROSS JOIN LATERAL (SELECT x.revision FROM outbox x
                      WHERE x.reservation_id = c.id AND x.sink = c.sink
                        AND x.revision = (SELECT y.revision FROM outbox y
                                          WHERE y.reservation_id = c.id AND y.sink = c.sink
                                            AND y.state IS NOT DISTINCT FROM 'PENDING'
                                          ORDER BY y.revision LIMIT 1)
                      FOR UPDATE SKIP LOCKED) AS next
  WHERE o.reservation_id = c.id AND o.revision = next.revision AND o.sink = c.sink AND o.attempts = 0;
END
$$;
