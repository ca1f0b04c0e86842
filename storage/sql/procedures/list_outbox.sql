-- Messages in the state, of the sink ('' for all), ascending by (reservation, revision, sink), after that key. Two
-- statements, so that each is planned for the index that has its order: dead ones are few among many.
CREATE OR REPLACE FUNCTION tranche.list_outbox(p_sink text, p_state text, p_after_id uuid, p_after_revision integer,
                                               p_after_sink text, p_limit integer)
RETURNS TABLE (reservation_id uuid, revision integer, sink text, sku_id text, kind text, payload text, created_us bigint,
               state text, attempts integer, next_us bigint, last_error text, trace text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT o.reservation_id, o.revision, o.sink::text, o.sku_id::text, o.kind, o.payload::text,
         (date_part('epoch', o.created_at) * 1000000)::bigint, o.state, o.attempts,
         (date_part('epoch', o.next_attempt_at) * 1000000)::bigint, o.last_error, o.trace
  FROM outbox o
  WHERE p_state = 'PENDING' AND o.state = 'PENDING' AND (p_sink = '' OR o.sink = p_sink)
    AND (o.reservation_id, o.revision, o.sink) > (p_after_id, p_after_revision, p_after_sink)
  ORDER BY o.reservation_id, o.revision, o.sink
  LIMIT p_limit;
  RETURN QUERY
  SELECT o.reservation_id, o.revision, o.sink::text, o.sku_id::text, o.kind, o.payload::text,
         (date_part('epoch', o.created_at) * 1000000)::bigint, o.state, o.attempts,
         (date_part('epoch', o.next_attempt_at) * 1000000)::bigint, o.last_error, o.trace
  FROM outbox_sink s
  CROSS JOIN LATERAL (SELECT x.* FROM outbox x
                      WHERE x.state = 'DEAD' AND x.sink = s.name
                        AND (x.reservation_id, x.revision) >= (p_after_id, p_after_revision)
                        AND (x.reservation_id, x.revision, x.sink) > (p_after_id, p_after_revision, p_after_sink)
                      ORDER BY x.reservation_id, x.revision
                      LIMIT p_limit) AS o
  WHERE p_state = 'DEAD' AND (p_sink = '' OR s.name = p_sink)
  ORDER BY o.reservation_id, o.revision, o.sink
  LIMIT p_limit;
END
$$;
