-- A payment for a reservation that retention has archived or dropped. Always returns a row, in the form of
-- confirm_late:
--   REBOOKED, PAID_UNFULFILLED, STATE   as decided when it was recorded (`replayed`); without a reservation if that was
--                     dropped, not archived
--   PAID_UNFULFILLED  of an expired one, or a member of a group that has ended the hold; STATE of another: recorded, and a
--                     message asks for a refund. Nothing is rebooked after so long a time.
--   REPLAYED          this payment had confirmed it
--   PAYMENT_MISMATCH  another amount or currency
--   NOT_FOUND         nothing is known of it
--
-- Called by confirm_late, which has locked the SKU's row, if there is one, and found it HERE.
CREATE OR REPLACE FUNCTION tranche.confirm_retired(p_id uuid, p_reference text, p_amount bigint, p_currency text,
                                                   p_trace text DEFAULT NULL)
RETURNS SETOF tranche.late_answer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  v_old     reservation_columns%ROWTYPE;
  v_late    late_payment%ROWTYPE;
  v_outcome text;
BEGIN
  SELECT * INTO v_old FROM known_reservation(p_id);
  SELECT * INTO v_late FROM late_payment l WHERE l.reservation_id = p_id AND l.payment_reference = p_reference;
  v_outcome := CASE WHEN v_late.outcome IS NULL AND v_old.state IS NULL THEN 'NOT_FOUND'
                    WHEN v_old.amount_minor <> p_amount OR v_old.currency <> p_currency THEN 'PAYMENT_MISMATCH'
                    WHEN v_old.state = 'CONFIRMED' AND v_old.payment_reference = p_reference THEN 'REPLAYED'
                    WHEN v_old.state IS NOT NULL AND NOT is_unfulfilled(v_old.state, v_old.group_id, v_old.cancel_reason)
                         THEN 'STATE'
                    ELSE coalesce(v_late.outcome, 'PAID_UNFULFILLED') END;
  IF v_late.outcome IS NULL AND v_outcome IN ('PAID_UNFULFILLED', 'STATE') THEN
    PERFORM request_refund(p_id, p_reference, v_old.sku_id, p_amount, p_currency, p_trace);
  END IF;
  RETURN QUERY
  SELECT v_outcome, v_late.outcome IS NOT NULL, r.* FROM (SELECT) AS one LEFT JOIN known_reservation(p_id) AS r ON true
  UNION ALL
  SELECT NULL, true, r.* FROM known_reservation(v_late.rebooked_as) AS r WHERE v_outcome = 'REBOOKED';
END
$$;
