-- Hands up to p_limit due messages of the sink to a relay, those due longest first. They are not handed out again for
-- p_lease_ms: if a relay dies, the others get them after that. Rows come in no order. With p_fresh only messages that were
-- never handed out, the newest first: a relay that suspects its sink tries these, because one that fails may be bad itself,
-- and then it has neighbours of its age that are.
--
-- Why they go in order: only the first waiting message of a (reservation, sink) is handed out, and it stays the first
-- until it is delivered, dead or discarded, leased or not. The messages of a reservation become visible in the order of
-- their revisions, because its row is locked while they are written. `attempts` counts the attempts that were begun.
--
-- Why a backlog costs nothing: the index outbox_due ends at what is due. Messages that are due but not first are put
-- off until the first one is tried again, so that no later call reads them; whatever removes the first one makes the
-- next one due (wake_outbox). A message that was put off has no attempts yet, which distinguishes it from a leased one.
--
-- Why no wake-up is lost: a message is put off only under its own lock and the lock of the message that it waits for.
-- Whoever removes that one holds its lock until the end, or waits for ours and then looks for the next message.
--
-- Why some states are compared by IS NOT DISTINCT FROM: those look-ups are for the primary key. Written with =, the index
-- outbox_due would do, too, and while the table has no statistics yet the planner may take that: it reads all that is due.
--
-- Waits for no lock.
CREATE OR REPLACE FUNCTION tranche.claim_outbox(p_sink text, p_limit integer, p_lease_ms bigint,
                                                p_fresh boolean DEFAULT false)
RETURNS TABLE (reservation_id uuid, revision integer, sink text, sku_id text, kind text, payload text, created_us bigint,
               state text, attempts integer, next_us bigint, last_error text, trace text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
  v_now       timestamptz := clock_timestamp();
  v_leased    timestamptz := v_now + make_interval(secs => p_lease_ms / 1000.0);
  v_from      timestamptz := '-infinity'::timestamptz;
  v_to        timestamptz := v_now;
  v_left      integer := p_limit;
  v_wanted    integer;
  v_ids       uuid[];
  v_revisions integer[];
  v_claimed   integer;
  v_put_off   integer;
BEGIN
  -- More than one round only if messages were put off; bounded, so that a call stays short. Each round continues where
  -- the last one ended, not through the dead index entries that it left.
  FOR v_round IN 1..16 LOOP
    v_wanted := v_left;
    IF p_fresh THEN
      SELECT array_agg(l.reservation_id), array_agg(l.revision), coalesce(min(l.next_attempt_at), v_to)
      INTO v_ids, v_revisions, v_to
      FROM (SELECT o.reservation_id, o.revision, o.next_attempt_at
            FROM outbox o
            WHERE o.sink = p_sink AND o.state = 'PENDING' AND o.next_attempt_at <= v_to AND o.attempts = 0
            ORDER BY o.next_attempt_at DESC
            LIMIT v_wanted
            FOR UPDATE SKIP LOCKED) AS l;
    ELSE
      SELECT array_agg(l.reservation_id), array_agg(l.revision), coalesce(max(l.next_attempt_at), v_now)
      INTO v_ids, v_revisions, v_from
      FROM (SELECT o.reservation_id, o.revision, o.next_attempt_at
            FROM outbox o
            WHERE o.sink = p_sink AND o.state = 'PENDING' AND o.next_attempt_at BETWEEN v_from AND v_now
            ORDER BY o.next_attempt_at
            LIMIT v_wanted
            FOR UPDATE SKIP LOCKED) AS l;
    END IF;

    -- A separate statement, so that its snapshot is newer than the locks.
    RETURN QUERY
    UPDATE outbox o
    SET attempts = o.attempts + 1, next_attempt_at = v_leased
    FROM unnest(v_ids, v_revisions) AS c (id, revision)
    WHERE o.reservation_id = c.id AND o.revision = c.revision AND o.sink = p_sink
      AND NOT EXISTS (SELECT FROM outbox x
                      WHERE x.reservation_id = c.id AND x.revision < c.revision AND x.sink = p_sink
                        AND x.state IS NOT DISTINCT FROM 'PENDING' OFFSET 0)
    RETURNING o.reservation_id, o.revision, o.sink::text, o.sku_id::text, o.kind, o.payload::text,
              (date_part('epoch', o.created_at) * 1000000)::bigint, o.state, o.attempts,
              (date_part('epoch', o.next_attempt_at) * 1000000)::bigint, o.last_error, o.trace;
    GET DIAGNOSTICS v_claimed = ROW_COUNT;
    v_left := v_left - v_claimed;
    EXIT WHEN v_claimed = coalesce(cardinality(v_ids), 0);

    WITH waiting AS MATERIALIZED (
      SELECT c.id, c.revision, first.next_attempt_at
      FROM unnest(v_ids, v_revisions) AS c (id, revision)
      CROSS JOIN LATERAL (SELECT x.next_attempt_at FROM outbox x
                          WHERE x.reservation_id = c.id AND x.revision < c.revision AND x.sink = p_sink
                            AND x.state IS NOT DISTINCT FROM 'PENDING'
                          ORDER BY x.revision LIMIT 1
                          FOR UPDATE SKIP LOCKED) AS first
    )
    UPDATE outbox o
    SET next_attempt_at = greatest(w.next_attempt_at, v_leased)
    FROM waiting w
    WHERE o.reservation_id = w.id AND o.revision = w.revision AND o.sink = p_sink;
    GET DIAGNOSTICS v_put_off = ROW_COUNT;
    EXIT WHEN v_left = 0 OR v_claimed + v_put_off = 0 OR cardinality(v_ids) < v_wanted;
  END LOOP;
END
$$;
