-- Gives the payments of a batch seats of their groups, in order: of each group that forms and whose deadline has not passed the lowest
-- free seats, as many as there are. Returns the reservations that have one now. p_ids are PENDING reservations of members, each once,
-- whose payments match; those that have a seat already get no other. p_traces has NULLs for those without one.
--
-- A group without a free seat is filled in the same transaction: all its seats are confirmed, each with its own payment. Otherwise the
-- reservation stays PENDING, until the group is decided: its hold ends at the deadline. A message is written about each change.
--
-- A filled group is always noted as unsettled: a join that is under way may add a hold that this transaction does not see.
-- expire_groups waits for that join, and ends what it finds.
--
-- For pay_group_seats, which has locked the groups and all reservations that are changed here.
CREATE OR REPLACE FUNCTION tranche.take_group_seats(p_ids uuid[], p_references text[], p_traces text[], p_now timestamptz)
RETURNS uuid[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
-- A generic plan made while a table was empty would read all of it later.
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
  v_ids        uuid[];
  v_references text[];
  v_traces     text[];
  v_groups     uuid[];
  v_deadlines  timestamptz[];
  v_seats      integer[];
  v_full       uuid[];
  v_members    uuid[];  -- all who have a seat of these
  v_changed    reservation[];
  v_callers    text[];  -- the traces of the payments that changed these
BEGIN
  SELECT array_agg(p.id ORDER BY p.nth), array_agg(p.reference ORDER BY p.nth), array_agg(p.trace ORDER BY p.nth),
         array_agg(p.group_id ORDER BY p.nth), array_agg(p.deadline_at ORDER BY p.nth), array_agg(free.seat_no ORDER BY p.nth)
  INTO v_ids, v_references, v_traces, v_groups, v_deadlines, v_seats
  FROM (SELECT c.id, c.reference, c.trace, c.nth, g.group_id, g.seats, g.deadline_at,
               row_number() OVER (PARTITION BY g.group_id ORDER BY c.nth) AS turn
        FROM unnest(p_ids, p_references, p_traces) WITH ORDINALITY AS c (id, reference, trace, nth)
        CROSS JOIN LATERAL (SELECT x.group_id FROM group_member x
                            WHERE x.reservation_id = c.id AND x.seat_no IS NULL OFFSET 0) AS m
        -- By the key alone: the index of those that form could be read from end to end.
        CROSS JOIN LATERAL (SELECT x.* FROM group_buy x WHERE x.group_id = m.group_id OFFSET 0) AS g
        WHERE g.state = 'FORMING' AND g.deadline_at > p_now) AS p
  CROSS JOIN LATERAL (SELECT f.seat_no
                      FROM (SELECT generate_series(1, p.seats) AS seat_no
                            EXCEPT
                            SELECT x.seat_no FROM group_member x WHERE x.group_id = p.group_id AND x.seat_no IS NOT NULL) AS f
                      ORDER BY f.seat_no OFFSET p.turn - 1 LIMIT 1) AS free;
  IF v_ids IS NULL THEN
    RETURN NULL;
  END IF;

  UPDATE group_member m
  SET seat_no = t.seat_no, payment_reference = t.reference, paid_at = p_now
  FROM unnest(v_ids, v_seats, v_references) AS t (id, seat_no, reference)
  WHERE m.reservation_id = t.id;
  WITH changed AS (
    UPDATE group_buy g
    SET seats_taken = g.seats_taken + t.seats, revision = g.revision + 1,
        state = CASE WHEN g.seats_taken + t.seats = g.seats THEN 'FILLED' ELSE 'FORMING' END,
        finished_at = CASE WHEN g.seats_taken + t.seats = g.seats THEN p_now END,
        unsettled = g.seats_taken + t.seats = g.seats
    FROM (SELECT u AS id, count(*)::integer AS seats FROM unnest(v_groups) AS u GROUP BY u) AS t
    WHERE g.group_id = t.id
    RETURNING g.group_id, g.state
  )
  SELECT coalesce(array_agg(c.group_id) FILTER (WHERE c.state = 'FILLED'), '{}') INTO v_full FROM changed c;

  WITH waiting AS (
    UPDATE reservation r
    SET expires_at = t.deadline_at, revision = r.revision + 1
    FROM unnest(v_ids, v_references, v_traces, v_groups, v_deadlines) AS t (id, reference, trace, group_id, deadline_at)
    WHERE r.reservation_id = t.id AND t.group_id <> ALL (v_full)
    RETURNING r AS changed, t.reference, t.trace
  )
  -- The payment is the seat's: the reservation has none before it is confirmed.
  SELECT array_agg(jsonb_populate_record(w.changed, jsonb_build_object('payment_reference', w.reference))), array_agg(w.trace)
  INTO v_changed, v_callers FROM waiting w;
  PERFORM write_outbox('group.seat_taken', v_changed, p_now, p_traces => v_callers);

  SELECT array_agg(m.reservation_id), array_agg(v_traces[array_position(v_ids, m.reservation_id)]) INTO v_members, v_callers
  FROM unnest(v_full) AS f (id)
  CROSS JOIN LATERAL (SELECT x.reservation_id FROM group_member x WHERE x.group_id = f.id AND x.seat_no IS NOT NULL OFFSET 0) AS m;
  PERFORM confirm_seats(v_members, p_now, v_callers);
  RETURN v_ids;
END
$$;
