-- A payment for a member of a group, as pay_group_seats refused it. One payment, one transaction. In the form of confirm_late, with
-- one row; nothing is ever booked instead:
--   PAID_UNFULFILLED  there is no seat, so the hold, if there was one, is cancelled and its units go to the pool; or the hold had
--                     expired, or its group has ended it before. Recorded, and a message asks for a refund
--   STATE             the buyer has left, or another payment has the seat, or has confirmed it: recorded and to be refunded just so
--   or what pay_group_seats says. DONE if there is a seat now. `replayed`: the payment had been recorded before.
--
-- Why it is safe:
--   one transaction   whoever loses their hold by a payment has its refund asked for
--   once per payment  the SKU's row is locked before late_payment is read, and for as long as it is written
--   conservation      what leaves PENDING here is what the pool receives
--
-- Called by confirm_late, which has pinned the SKU, and locked its row. Locks: its pool slot, if a hold may end; then as
-- pay_group_seats. That is the common order. Who has the group or the reservation wants no SKU and no slot any more.
CREATE OR REPLACE FUNCTION tranche.confirm_late_member(p_old tranche.reservation, p_reference text, p_amount bigint, p_currency text,
                                                       p_trace text DEFAULT NULL)
RETURNS SETOF tranche.late_answer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  v_id       uuid := p_old.reservation_id;
  v_outcome  text;
  v_replayed boolean := false;
BEGIN
  IF p_old.state = 'PENDING' THEN
    PERFORM FROM stock_slot sl WHERE sl.sku_id = p_old.sku_id AND sl.slot_no = 0 FOR UPDATE;
  END IF;
  SELECT c.outcome INTO v_outcome
  FROM pay_group_seats(ARRAY[v_id], ARRAY[p_reference], ARRAY[p_amount], ARRAY[p_currency], p_traces => ARRAY[p_trace]) AS c;

  IF v_outcome = 'GROUP_OVER' THEN
    PERFORM end_group_holds(ARRAY[v_id],
                            ARRAY[CASE WHEN EXISTS (SELECT FROM group_buy g WHERE g.group_id = p_old.group_id AND g.state = 'FILLED')
                                       THEN 'GROUP_FULL' ELSE 'GROUP_OVER' END],
                            ARRAY[p_trace]);
  END IF;

  IF v_outcome IN ('GROUP_OVER', 'STATE') THEN
    v_replayed := EXISTS (SELECT FROM late_payment l WHERE l.reservation_id = v_id AND l.payment_reference = p_reference);
    IF NOT v_replayed THEN
      PERFORM request_refund(v_id, p_reference, p_old.sku_id, p_amount, p_currency, p_trace);
    END IF;
    SELECT CASE WHEN is_unfulfilled(r.state, r.group_id, r.cancel_reason) THEN 'PAID_UNFULFILLED' ELSE 'STATE' END
    INTO v_outcome FROM reservation r WHERE r.reservation_id = v_id;
  END IF;
  RETURN QUERY
  SELECT v_outcome, v_replayed, r.*
  FROM (SELECT) AS one LEFT JOIN reservation_columns r ON r.reservation_id = v_id AND v_outcome NOT IN ('NOT_FOUND', 'MOVING');
END
$$;
