-- Writes a message about each of the reservations, as they are after the change, for every sink: part of the
-- transaction, and if necessary of the statement, that changed them. (id, revision) identifies the message, so a change
-- must have increased the revision; the first one is told of a reservation that no call has asked for. p_more: further or overriding
-- members of the payload. p_traces: of the calls that made the changes, in the order of p_rows; NULL where there is none, and instead
-- of the array where there are none at all.
--
-- For other procedures; takes no lock that anybody waits for, since the caller has locked the reservations.
CREATE OR REPLACE FUNCTION tranche.write_outbox(p_kind text, p_rows tranche.reservation[], p_occurred_at timestamptz,
                                                p_more jsonb DEFAULT '{}', p_traces text[] DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
-- The payload's times are UTC.
SET timezone = 'UTC'
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  c_rfc3339 constant text := 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"';
BEGIN
  WITH messages AS MATERIALIZED (
    SELECT r.reservation_id, r.revision, r.sku_id,
           jsonb_strip_nulls(jsonb_build_object(
             'kind', p_kind,
             'occurred_at', to_char(p_occurred_at, c_rfc3339),
             'reservation_id', r.reservation_id,
             'revision', r.revision,
             'sku_id', r.sku_id,
             'user_id', r.user_id,
             'quantity', r.quantity,
             'amount_minor', r.amount_minor,
             'currency', r.currency,
             'order_reference', r.order_reference,
             'state', r.state,
             'payment_reference', r.payment_reference,
             'cancel_reason', r.cancel_reason,
             -- For a hold, or one that has just ended by this change.
             'expires_at', CASE WHEN r.state IN ('PENDING', 'EXPIRED') THEN to_char(r.expires_at, c_rfc3339) END,
             'rebooked_from', r.rebooked_from,
             'group_id', r.group_id)) || p_more AS payload,
           r.unnest AS trace
    FROM unnest(p_rows, p_traces) AS r  -- the second one's column is called unnest
  )
  INSERT INTO outbox (reservation_id, revision, sink, sku_id, kind, payload, created_at, trace)
  SELECT m.reservation_id, m.revision, s.name, m.sku_id, p_kind, m.payload, p_occurred_at, m.trace
  FROM messages m CROSS JOIN outbox_sink s;
END
$$;
