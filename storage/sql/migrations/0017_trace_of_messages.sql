-- Messages tell which call made the change: the headers traceparent and x-request-id that it came with.
--
-- Nothing is built or rewritten; the lock is held until the procedures are made anew, for a fraction of a second. Payments,
-- cancellations, expiry and deliveries wait meanwhile. Who cannot have it within 2 s fails and is run again: all of these would
-- wait behind it.

SET LOCAL lock_timeout = '2s';

ALTER TABLE tranche.outbox
  -- The traceparent, or nothing, and after a space the request id, if there is one. NULL: the call came with neither, or no call
  -- made the change.
  ADD COLUMN trace text,
  -- NOT VALID only spares looking at what is there: none has one.
  ADD CONSTRAINT outbox_trace CHECK (octet_length(trace) BETWEEN 1 AND 256) NOT VALID;

-- Made anew by procedures/, with parameters and columns more, which come last. Servers of before pass and read the first ones;
-- what they have prepared is refused once with 0A000, which they repeat.
DROP FUNCTION IF EXISTS tranche.confirm_reservations(uuid[], text[], bigint[], text[], boolean);
DROP FUNCTION IF EXISTS tranche.cancel_reservations(uuid[], text[], boolean);
DROP FUNCTION IF EXISTS tranche.extend_reservations(uuid[], integer[], bigint[], boolean);
DROP FUNCTION IF EXISTS tranche.confirm_late(uuid, text, bigint, text);
DROP FUNCTION IF EXISTS tranche.confirm_retired(uuid, text, bigint, text);
DROP FUNCTION IF EXISTS tranche.reconcile_payment(uuid, text, bigint, text, text);
DROP FUNCTION IF EXISTS tranche.rebook_reservation(tranche.reservation, tranche.sku, text);
DROP FUNCTION IF EXISTS tranche.request_refund(uuid, text, text, bigint, text);
DROP FUNCTION IF EXISTS tranche.write_outbox(text, tranche.reservation[], timestamptz, jsonb);
DROP FUNCTION IF EXISTS tranche.claim_outbox(text, integer, bigint, boolean);
DROP FUNCTION IF EXISTS tranche.get_outbox(uuid, integer, text);
DROP FUNCTION IF EXISTS tranche.list_outbox(text, text, uuid, integer, text, integer);
