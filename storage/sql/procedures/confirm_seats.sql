-- Confirms the members p_ids of groups that are sold: PENDING becomes CONFIRMED, each by the payment that has its seat. Those without a seat
-- stay as they are; one that has ended otherwise fails the whole transaction. p_traces: of the calls that have done it, as for write_outbox. p_now has a
-- default for calls of procedures of before.
--
-- For other procedures, which have locked the groups and the reservations, in this order. Units do not move.
CREATE OR REPLACE FUNCTION tranche.confirm_seats(p_ids uuid[], p_now timestamptz DEFAULT clock_timestamp(), p_traces text[] DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
-- A generic plan made while a table was empty would read all of it later.
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
  v_changed reservation[];
  v_traces  text[];
BEGIN
  WITH confirmed AS (
    UPDATE reservation r
    SET state = 'CONFIRMED', payment_reference = m.payment_reference, finished_at = p_now, revision = r.revision + 1
    FROM (SELECT p.id, p.trace, x.payment_reference
          FROM unnest(p_ids, p_traces) AS p (id, trace)
          CROSS JOIN LATERAL (SELECT y.* FROM group_member y WHERE y.reservation_id = p.id OFFSET 0) AS x
          WHERE x.seat_no IS NOT NULL) AS m
    WHERE r.reservation_id = m.id
    RETURNING r AS changed, m.trace
  )
  SELECT array_agg(c.changed), array_agg(c.trace) INTO v_changed, v_traces FROM confirmed c;
  PERFORM write_outbox('reservation.confirmed', v_changed, p_now, p_traces => v_traces);
END
$$;
