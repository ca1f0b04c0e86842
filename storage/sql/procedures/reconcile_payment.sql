-- Tells the ledger about a payment that a statement shows and that was never reported, as confirm_late does, and audits
-- the result. Repeating it gives the same answer, and audits nothing.
--
--   outcome     of confirm_late: DONE (confirmed), REBOOKED, PAID_UNFULFILLED; STATE (recorded, and a refund asked for:
--               the reservation was cancelled, or another payment has confirmed it); REPLAYED; NOT_FOUND,
--               PAYMENT_MISMATCH or MOVING: nothing was done
--   replayed    it had been done before
--   state, reference   the reservation's, as it is now
--   rebooked_as        with REBOOKED: the new reservation
CREATE OR REPLACE FUNCTION tranche.reconcile_payment(p_id uuid, p_reference text, p_amount bigint, p_currency text,
                                                     p_actor text, p_trace text DEFAULT NULL)
RETURNS TABLE (outcome text, replayed boolean, state text, reference text, rebooked_as uuid)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  v_sku text;
BEGIN
  SELECT max(c.outcome), coalesce(bool_or(c.replayed) FILTER (WHERE c.outcome IS NOT NULL), false),
         max(c.state) FILTER (WHERE c.outcome IS NOT NULL),
         max(c.payment_reference) FILTER (WHERE c.outcome IS NOT NULL),
         (max(c.reservation_id::text) FILTER (WHERE c.outcome IS NULL))::uuid,
         max(c.sku_id) FILTER (WHERE c.outcome IS NOT NULL)
  INTO outcome, replayed, state, reference, rebooked_as, v_sku
  FROM confirm_late(p_id, p_reference, p_amount, p_currency, p_trace) AS c;
  replayed := replayed OR outcome = 'REPLAYED';
  IF outcome <> 'REBOOKED' THEN
    rebooked_as := NULL;  -- what another payment has booked
  END IF;

  IF NOT replayed AND outcome IN ('DONE', 'REBOOKED', 'PAID_UNFULFILLED', 'STATE') THEN
    INSERT INTO audit_log (actor, action, sku_id, before, after)
    VALUES (p_actor, 'reconcile_payment', v_sku,
            jsonb_build_object('reservation_id', p_id,
                               'state', CASE WHEN outcome = 'DONE' THEN 'PENDING' ELSE state END),
            jsonb_strip_nulls(jsonb_build_object(
              'reservation_id', p_id, 'state', state, 'payment_reference', p_reference, 'amount_minor', p_amount,
              'currency', p_currency, 'rebooked_as', rebooked_as,
              'outcome', CASE WHEN outcome = 'STATE' THEN 'PAID_UNFULFILLED' ELSE outcome END)));
  END IF;
  RETURN NEXT;
END
$$;
