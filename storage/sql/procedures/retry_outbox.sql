-- Makes the dead messages of the sink ('' for every sink) due, with all their attempts again. Returns how many. A later
-- message of the same reservation may have been delivered already; then this one comes after it.
CREATE OR REPLACE FUNCTION tranche.retry_outbox(p_sink text, p_actor text)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  v_retried bigint;
BEGIN
  WITH retried AS (
    UPDATE outbox o
    SET state = 'PENDING', attempts = 0, next_attempt_at = clock_timestamp()
    WHERE o.state = 'DEAD' AND (p_sink = '' OR o.sink = p_sink)
    RETURNING o.sink
  ), per_sink AS (
    SELECT r.sink, count(*) AS messages FROM retried r GROUP BY r.sink
  ), audited AS (
    INSERT INTO audit_log (actor, action, sku_id, before, after)
    SELECT p_actor, 'retry_outbox', NULL, jsonb_build_object('sink', p.sink, 'dead', p.messages),
           jsonb_build_object('sink', p.sink, 'dead', 0)
    FROM per_sink p ORDER BY p.sink
  )
  SELECT coalesce(sum(p.messages), 0)::bigint INTO v_retried FROM per_sink p;
  RETURN v_retried;
END
$$;
