-- Records a payment that paid for nothing, and asks for its refund by a message. The reservation may have been
-- archived.
--
-- For other procedures, which have locked the SKU's row and have seen that the payment is not recorded yet.
CREATE OR REPLACE FUNCTION tranche.request_refund(p_id uuid, p_reference text, p_sku_id text, p_amount bigint,
                                                  p_currency text, p_trace text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  v_now     timestamptz := clock_timestamp();
  v_renamed reservation[];
BEGIN
  INSERT INTO late_payment (reservation_id, payment_reference, sku_id, amount_minor, currency, outcome, received_at)
  VALUES (p_id, p_reference, p_sku_id, p_amount, p_currency, 'PAID_UNFULFILLED', v_now);
  -- The new revision identifies the message.
  WITH renamed AS (
    UPDATE reservation r SET revision = r.revision + 1 WHERE r.reservation_id = p_id RETURNING r AS changed
  )
  SELECT array_agg(c.changed) INTO v_renamed FROM renamed c;
  IF v_renamed IS NULL THEN
    WITH renamed AS (
      UPDATE reservation_archive a SET revision = a.revision + 1 WHERE a.reservation_id = p_id RETURNING to_jsonb(a) AS changed
    )
    SELECT array_agg(jsonb_populate_record(NULL::reservation, c.changed)) INTO v_renamed FROM renamed c;
  END IF;
  IF v_renamed IS NULL THEN
    -- Retention has dropped it since we looked. Start again.
    RAISE EXCEPTION 'reservation % is gone', p_id USING ERRCODE = 'serialization_failure';
  END IF;
  PERFORM write_outbox('payment.refund_requested', v_renamed, v_now, jsonb_build_object('payment_reference', p_reference),
                       ARRAY[p_trace]);
END
$$;
