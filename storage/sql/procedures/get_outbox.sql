-- One sink's copy of a message; no row if it is not there.
CREATE OR REPLACE FUNCTION tranche.get_outbox(p_id uuid, p_revision integer, p_sink text)
RETURNS TABLE (reservation_id uuid, revision integer, sink text, sku_id text, kind text, payload text, created_us bigint,
               state text, attempts integer, next_us bigint, last_error text, trace text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT o.reservation_id, o.revision, o.sink::text, o.sku_id::text, o.kind, o.payload::text,
         (date_part('epoch', o.created_at) * 1000000)::bigint, o.state, o.attempts,
         (date_part('epoch', o.next_attempt_at) * 1000000)::bigint, o.last_error, o.trace
  FROM outbox o
  WHERE o.reservation_id = p_id AND o.revision = p_revision AND o.sink = p_sink
$$;
