-- Failed deliveries: due again after p_retry_ms, or dead where that is NULL; the message that waited for a dead one is
-- due then. Returns how many of them were waiting. A message that another transaction locks for longer than half a second
-- is left out, as by finish_outbox.
CREATE OR REPLACE FUNCTION tranche.fail_outbox(p_ids uuid[], p_revisions integer[], p_sinks text[], p_errors text[],
                                               p_retry_ms bigint[])
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET lock_timeout = '500ms'
AS $$
DECLARE
  v_nths   bigint[];
  v_failed bigint;
  v_ids    uuid[];
  v_sinks  text[];
BEGIN
  SELECT array_agg(l.nth) INTO v_nths
  FROM (SELECT c.nth
        FROM unnest(p_ids, p_revisions, p_sinks) WITH ORDINALITY AS c (id, revision, sink, nth)
        JOIN outbox o ON o.reservation_id = c.id AND o.revision = c.revision AND o.sink = c.sink
        WHERE o.state = 'PENDING'
        ORDER BY o.reservation_id, o.revision, o.sink
        FOR UPDATE OF o SKIP LOCKED) AS l;
  -- Nearly always that is all. The block is a subtransaction: rows that it locks and the outer one changes would each
  -- cost a multixact.
  IF EXISTS (SELECT FROM unnest(p_ids, p_revisions, p_sinks) WITH ORDINALITY AS c (id, revision, sink, nth)
             JOIN outbox o ON o.reservation_id = c.id AND o.revision = c.revision AND o.sink = c.sink
             WHERE o.state = 'PENDING' AND c.nth <> ALL (coalesce(v_nths, '{}')))
  THEN
    BEGIN
      SELECT v_nths || array_agg(l.nth) INTO v_nths
      FROM (SELECT c.nth
            FROM unnest(p_ids, p_revisions, p_sinks) WITH ORDINALITY AS c (id, revision, sink, nth)
            JOIN outbox o ON o.reservation_id = c.id AND o.revision = c.revision AND o.sink = c.sink
            WHERE o.state = 'PENDING' AND c.nth <> ALL (coalesce(v_nths, '{}'))
            ORDER BY o.reservation_id, o.revision, o.sink
            FOR UPDATE OF o) AS l;
    EXCEPTION WHEN lock_not_available THEN
      NULL;
    END;
  END IF;
  WITH failed AS (
    UPDATE outbox o
    SET state = CASE WHEN c.retry_ms IS NULL THEN 'DEAD' ELSE 'PENDING' END,
        next_attempt_at = CASE WHEN c.retry_ms IS NULL THEN o.next_attempt_at
                               ELSE clock_timestamp() + make_interval(secs => c.retry_ms / 1000.0) END,
        last_error = left(c.error, 1000)
    FROM unnest(p_ids, p_revisions, p_sinks, p_errors, p_retry_ms) WITH ORDINALITY
           AS c (id, revision, sink, error, retry_ms, nth)
    WHERE c.nth = ANY (v_nths) AND o.reservation_id = c.id AND o.revision = c.revision AND o.sink = c.sink
    RETURNING o.reservation_id, o.sink, o.state
  )
  SELECT count(*), array_agg(f.reservation_id) FILTER (WHERE f.state = 'DEAD'),
         array_agg(f.sink) FILTER (WHERE f.state = 'DEAD')
  INTO v_failed, v_ids, v_sinks FROM failed f;
  IF v_ids IS NOT NULL THEN
    PERFORM wake_outbox(v_ids, v_sinks);
  END IF;
  RETURN v_failed;
END
$$;
