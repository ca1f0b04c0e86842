-- Ends holds of members of groups: PENDING becomes CANCELLED for p_reasons, the units go to the pools, and whoever has a seat is told to
-- be refunded: the payment is recorded as one that paid for nothing, as request_refund does it, from when it took the seat. Others of
-- p_ids stay as they are. p_traces as for write_outbox. Returns those that it has ended.
--
-- Seats are left as they are, and so are groups: what becomes of these is the caller's to say, in the same transaction.
--
-- For other procedures, which have locked the SKUs' rows, their pool slots, the groups and the reservations, in this order. Set-based.
CREATE OR REPLACE FUNCTION tranche.end_group_holds(p_ids uuid[], p_reasons text[], p_traces text[] DEFAULT NULL)
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
  v_now         timestamptz := clock_timestamp();
  v_ids         uuid[];
  v_ended       reservation[];
  v_traces      text[];
  v_owed        reservation[];
  v_owed_traces text[];
BEGIN
  WITH holds AS MATERIALIZED (
    SELECT c.*, m.payment_reference, m.paid_at
    FROM unnest(p_ids, p_reasons, p_traces) AS c (id, reason, trace)
    -- By the key alone: the index of pending ones could be read from end to end.
    CROSS JOIN LATERAL (SELECT x.state FROM reservation x WHERE x.reservation_id = c.id OFFSET 0) AS held
    LEFT JOIN group_member m ON m.reservation_id = c.id
    WHERE held.state = 'PENDING'
  ), ended AS (
    -- A paid one is told of twice, and each message has a revision of its own.
    UPDATE reservation r
    SET state = 'CANCELLED', cancel_reason = h.reason, finished_at = v_now,
        revision = r.revision + CASE WHEN h.payment_reference IS NULL THEN 1 ELSE 2 END
    FROM holds h
    WHERE r.reservation_id = h.id
    RETURNING r AS changed, h.trace, h.payment_reference, h.paid_at
  ), owed AS (
    -- Once: the payment may have been reported in vain before it took the seat.
    INSERT INTO late_payment (reservation_id, payment_reference, sku_id, amount_minor, currency, outcome, received_at, requested_at)
    SELECT (e.changed).reservation_id, e.payment_reference, (e.changed).sku_id, (e.changed).amount_minor, (e.changed).currency,
           'PAID_UNFULFILLED', e.paid_at, v_now
    FROM ended e WHERE e.payment_reference IS NOT NULL
    ON CONFLICT DO NOTHING
  )
  SELECT array_agg((e.changed).reservation_id),
         array_agg(CASE WHEN e.payment_reference IS NULL THEN e.changed
                        ELSE jsonb_populate_record(e.changed, jsonb_build_object('revision', (e.changed).revision - 1)) END),
         array_agg(e.trace),
         array_agg(jsonb_populate_record(e.changed, jsonb_build_object('payment_reference', e.payment_reference)))
           FILTER (WHERE e.payment_reference IS NOT NULL),
         array_agg(e.trace) FILTER (WHERE e.payment_reference IS NOT NULL)
  INTO v_ids, v_ended, v_traces, v_owed, v_owed_traces
  FROM ended e;
  IF v_ids IS NOT NULL THEN
    PERFORM write_outbox('reservation.cancelled', v_ended, v_now, p_traces => v_traces);
    PERFORM write_outbox('payment.refund_requested', v_owed, v_now, p_traces => v_owed_traces);
    PERFORM return_units(array_agg(e.sku_id), array_agg(e.quantity::bigint)) FROM unnest(v_ended) AS e;
  END IF;
  RETURN coalesce(v_ids, '{}'::uuid[]);
END
$$;
