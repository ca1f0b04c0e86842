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
AS $$
DECLARE
  v_now       timestamptz := clock_timestamp();
  v_confirmed bigint;
BEGIN
  WITH confirmed AS (
    UPDATE reservation r
    SET state = 'CONFIRMED', payment_reference = m.payment_reference, finished_at = v_now, revision = r.revision + 1
    FROM group_member m
    WHERE m.reservation_id = ANY (p_ids) AND m.seat_no IS NOT NULL AND r.reservation_id = m.reservation_id AND r.state = 'PENDING'
    RETURNING r AS changed
  ), batch AS (
    SELECT array_agg(c.changed) AS changed, count(*) AS confirmed FROM confirmed c
  )
  SELECT b.confirmed INTO v_confirmed FROM batch b, write_outbox('reservation.confirmed', b.changed, v_now);
  RETURN v_confirmed;
END
$$;
