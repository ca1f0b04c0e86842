-- The messages are delivered: deletes them, and makes the messages due that waited for them. Returns how many there
-- were.
--
-- This holds even if the relay's lease has ended and another relay may deliver the message again, and even if the
-- message was given up: it is deleted either way, and later reports about it change nothing.
--
-- A message that another transaction locks for longer than half a second is left out: its lease ends, and it is delivered
-- once more. So it holds up no other message of its sink.
CREATE OR REPLACE FUNCTION tranche.finish_outbox(p_ids uuid[], p_revisions integer[], p_sinks text[])
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
  v_nths  bigint[];
  v_ids   uuid[];
  v_sinks text[];
BEGIN
  SELECT array_agg(l.nth) INTO v_nths
  FROM (SELECT c.nth
        FROM unnest(p_ids, p_revisions, p_sinks) WITH ORDINALITY AS c (id, revision, sink, nth)
        JOIN outbox o ON o.reservation_id = c.id AND o.revision = c.revision AND o.sink = c.sink
        ORDER BY o.reservation_id, o.revision, o.sink
        FOR UPDATE OF o SKIP LOCKED) AS l;
  -- Nearly always that is all. The block is a subtransaction: rows that it locks and the outer one changes would each
  -- cost a multixact.
  IF EXISTS (SELECT FROM unnest(p_ids, p_revisions, p_sinks) WITH ORDINALITY AS c (id, revision, sink, nth)
             JOIN outbox o ON o.reservation_id = c.id AND o.revision = c.revision AND o.sink = c.sink
             WHERE c.nth <> ALL (coalesce(v_nths, '{}')))
  THEN
    BEGIN
      SELECT v_nths || array_agg(l.nth) INTO v_nths
      FROM (SELECT c.nth
            FROM unnest(p_ids, p_revisions, p_sinks) WITH ORDINALITY AS c (id, revision, sink, nth)
            JOIN outbox o ON o.reservation_id = c.id AND o.revision = c.revision AND o.sink = c.sink
            WHERE c.nth <> ALL (coalesce(v_nths, '{}'))
            ORDER BY o.reservation_id, o.revision, o.sink
            FOR UPDATE OF o) AS l;
    EXCEPTION WHEN lock_not_available THEN
      NULL;
    END;
  END IF;
  WITH done AS (
    DELETE FROM outbox o
    USING unnest(p_ids, p_revisions, p_sinks) WITH ORDINALITY AS c (id, revision, sink, nth)
    WHERE c.nth = ANY (v_nths) AND o.reservation_id = c.id AND o.revision = c.revision AND o.sink = c.sink
    RETURNING o.reservation_id, o.sink
  )
  SELECT array_agg(d.reservation_id), array_agg(d.sink) INTO v_ids, v_sinks FROM done d;
  IF v_ids IS NULL THEN
    RETURN 0::bigint;
  END IF;
  PERFORM wake_outbox(v_ids, v_sinks);
  RETURN cardinality(v_ids)::bigint;
END
$$;
