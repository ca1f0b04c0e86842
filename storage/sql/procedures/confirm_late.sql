-- A payment for a reservation that is no longer pending, as confirm_reservations answered. One payment, one
-- transaction.
--
-- Returns a row about the reservation asked about, with what became of the payment:
--   REBOOKED          the hold had expired, and other units were there: a new reservation, confirmed at once; a second row,
--                     outcome NULL, is about that
--   PAID_UNFULFILLED  the hold had expired, and rebook_reservation found nothing for the buyer, or another payment for
--                     the same hold has had it rebooked: recorded, and a message asks for a refund. In the latter case
--                     the second row is about what that payment has booked
--   STATE             it is cancelled, or another payment has confirmed it: recorded and to be refunded just so
--   or what confirm_reservations says. `replayed`: the payment had been recorded before; this is the answer of then.
-- A sale that has merely ended does not matter: the buyer was in time. If retention has archived or dropped the
-- reservation, confirm_retired answers; about a member of a group, confirm_late_member.
--
-- Why it is safe:
--   once per payment  the SKU's row is locked before late_payment is read, and for as long as it is written
--   state             an expired or cancelled reservation stays so; while we have the SKU's row, nobody expires or cancels
--   conservation      what is booked is what is taken from the slots locked before, in this transaction
--   per buyer         as in commit_reservations: the unique index for limit 1, above it the same lock per (sku, buyer)
--
-- The new reservation's incarnation is 0: no node's slice has paid for it, since the units that it took are no longer
-- allotted to their former holder.
--
-- Locks: pins; the SKU's row; its slots by number (those of lock_units); the buyer; reservations. That is the common
-- order. If somebody else holds a slot that we want, it is a sale, which has all its slots, or a change of the SKU's
-- quota, which would need the row that we have. A sale may wait for the buyer or for one of the buyer's reservations:
-- for another sale, or for a change of reservations under way. These have their slots by then and want neither our row
-- nor our slots.
CREATE OR REPLACE FUNCTION tranche.confirm_late(p_id uuid, p_reference text, p_amount bigint, p_currency text,
                                                p_trace text DEFAULT NULL)
RETURNS SETOF tranche.late_answer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
-- Late payments of all SKUs share a few threads of a server.
SET lock_timeout = '500ms'
AS $$
DECLARE
  v_sku_id   text;
  v_sku      sku%ROWTYPE;
  v_old      reservation%ROWTYPE;
  v_late     late_payment%ROWTYPE;
  v_replayed boolean;
  v_outcome  text;
BEGIN
  v_sku_id := coalesce(
    (SELECT r.sku_id FROM reservation r WHERE r.reservation_id = p_id),
    (SELECT a.sku_id FROM reservation_archive a WHERE a.reservation_id = p_id),
    (SELECT l.sku_id FROM late_payment l WHERE l.reservation_id = p_id AND l.payment_reference = p_reference));
  PERFORM pin_skus(ARRAY[v_sku_id]);
  SELECT * INTO v_sku FROM sku s WHERE s.sku_id = v_sku_id FOR UPDATE;
  SELECT * INTO v_old FROM reservation r WHERE r.reservation_id = p_id;
  IF v_old.state IS NULL AND v_sku_id IS NOT NULL THEN
    IF v_sku.whereabouts = 'HERE' THEN
      RETURN QUERY SELECT c.* FROM confirm_retired(p_id, p_reference, p_amount, p_currency, p_trace) AS c;
    ELSE
      RETURN QUERY SELECT CASE WHEN v_sku.whereabouts = 'LEAVING' THEN 'MOVING' ELSE 'NOT_FOUND' END, false, r.*
                   FROM (SELECT) AS one LEFT JOIN reservation_columns r ON false;
    END IF;
    RETURN;
  END IF;

  IF v_old.group_id IS NOT NULL THEN
    RETURN QUERY SELECT c.* FROM confirm_late_member(v_old, p_reference, p_amount, p_currency, p_trace) AS c;
    RETURN;
  END IF;

  -- These payments need none of the steps below. Late ones are not tried here: that would lock the reservation before
  -- the slots.
  IF v_sku.whereabouts IS DISTINCT FROM 'HERE' OR v_old.state IS NULL OR v_old.state IN ('PENDING', 'CONFIRMED')
     OR v_old.amount_minor <> p_amount OR v_old.currency <> p_currency THEN
    SELECT c.outcome INTO v_outcome
    FROM confirm_reservations(ARRAY[p_id], ARRAY[p_reference], ARRAY[p_amount], ARRAY[p_currency],
                              p_traces => ARRAY[p_trace]) AS c;
    IF v_outcome <> 'STATE' THEN
      RETURN QUERY
      SELECT v_outcome, false, r.*
      FROM (SELECT) AS one
      LEFT JOIN reservation_columns r ON r.reservation_id = p_id AND v_outcome NOT IN ('NOT_FOUND', 'MOVING');
      RETURN;
    END IF;
    SELECT * INTO v_old FROM reservation r WHERE r.reservation_id = p_id;
  END IF;

  SELECT * INTO v_late FROM late_payment l WHERE l.reservation_id = p_id AND l.payment_reference = p_reference;
  v_replayed := FOUND;
  IF NOT v_replayed THEN
    IF v_old.state = 'EXPIRED' AND NOT EXISTS (SELECT FROM late_payment l
                                               WHERE l.reservation_id = p_id AND l.outcome = 'REBOOKED') THEN
      v_late.rebooked_as := rebook_reservation(v_old, v_sku, p_reference, p_trace);
    END IF;
    v_late.outcome := CASE WHEN v_late.rebooked_as IS NULL THEN 'PAID_UNFULFILLED' ELSE 'REBOOKED' END;
    IF v_late.rebooked_as IS NULL THEN
      PERFORM request_refund(p_id, p_reference, v_old.sku_id, p_amount, p_currency, p_trace);
    ELSE
      INSERT INTO late_payment (reservation_id, payment_reference, sku_id, amount_minor, currency, outcome, rebooked_as,
                                received_at)
      VALUES (p_id, p_reference, v_old.sku_id, p_amount, p_currency, 'REBOOKED', v_late.rebooked_as, clock_timestamp());
    END IF;
  END IF;

  -- Retention may have removed it meanwhile, or the reservation that replaced it.
  RETURN QUERY
  SELECT CASE WHEN v_old.state = 'EXPIRED' THEN v_late.outcome ELSE 'STATE' END, v_replayed, r.*
  FROM (SELECT) AS one LEFT JOIN known_reservation(p_id) AS r ON true
  UNION ALL
  SELECT NULL, v_replayed, r.*
  FROM known_reservation(coalesce(v_late.rebooked_as, (SELECT l.rebooked_as FROM late_payment l
                                                       WHERE l.reservation_id = p_id AND l.outcome = 'REBOOKED'))) AS r;
END
$$;
