-- Confirms members of groups that are sold: PENDING becomes CONFIRMED, each by the payment that has its seat. Those of p_ids that have no
-- seat stay as they are. Returns how many it has confirmed.
--
-- For other procedures, which have locked the groups and the reservations, in this order. Units do not move.
CREATE OR REPLACE FUNCTION tranche.confirm_seats(p_ids uuid[])
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
-- A generic plan made while a table was empty would read all of it later.
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
  v_now       timestamptz := clock_timestamp();
  v_confirmed bigint;
BEGIN
  WITH confirmed AS (
    UPDATE reservation r
    SET state = 'CONFIRMED', payment_reference = m.payment_reference, finished_at = v_now, revision = r.revision + 1
    FROM (SELECT p.id, x.payment_reference
          FROM unnest(p_ids) AS p (id)
          CROSS JOIN LATERAL (SELECT y.* FROM group_member y WHERE y.reservation_id = p.id OFFSET 0) AS x
          -- By the key alone: the index of pending ones could be read from end to end.
          CROSS JOIN LATERAL (SELECT y.state FROM reservation y WHERE y.reservation_id = p.id OFFSET 0) AS held
          WHERE x.seat_no IS NOT NULL AND held.state = 'PENDING') AS m
    WHERE r.reservation_id = m.id
    RETURNING r AS changed
  ), batch AS (
    SELECT array_agg(c.changed) AS changed, count(*) AS confirmed FROM confirmed c
  )
  SELECT b.confirmed INTO v_confirmed FROM batch b, write_outbox('reservation.confirmed', b.changed, v_now);
  RETURN v_confirmed;
END
$$;
