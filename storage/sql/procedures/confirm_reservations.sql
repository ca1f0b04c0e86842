-- Confirms a batch of reservations that have been paid, in one transaction: PENDING becomes CONFIRMED. Set-based: a
-- constant number of statements however long the batch.
--
-- p_ids must be distinct. Returns one row per payment with its position `idx` (from 1), the reservation as it is now, and
-- the outcome:
--   DONE REPLAYED (this payment had confirmed it) PAYMENT_MISMATCH (another amount or currency) STATE (not pending any
--   more) and, without the reservation, NOT_FOUND and MOVING, GROUP (a member of a group: pay_group_seats decides), and without
--   p_wait BUSY (another transaction has locked it, and nothing is decided)
-- Rows come in no order. A hold whose time is over can be confirmed until it is expired: it still has its units.
--
-- Why it is safe:
--   state         decided with the reservation locked; the trigger reservation_transition refuses what is wrong here
--   conservation  units do not move: what was reserved stays reserved
--   moving SKUs   pinned before their whereabouts are read
--
-- Locks: pins, then the reservations in (sku, user, id) order; no SKU and no slot. So while we wait for a reservation,
-- we only hold reservations below it. Others that lock several (cancel_reservations, extend_reservations) only wait for
-- reservations by then, in this order too. Sales (commit_reservations) wait for a reservation only in their inserts,
-- which go in this order as well; expire_due skips what is locked.
CREATE OR REPLACE FUNCTION tranche.confirm_reservations(p_ids uuid[], p_references text[], p_amounts bigint[],
                                                        p_currencies text[], p_wait boolean DEFAULT true,
                                                        p_traces text[] DEFAULT NULL)
RETURNS SETOF tranche.change_answer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  v_locked  uuid[];
  v_leaving uuid[];
  v_busy    uuid[];
  v_members uuid[];
  v_done    uuid[];
  v_now     timestamptz;
BEGIN
  SELECT l.locked, l.leaving, l.busy, l.members INTO v_locked, v_leaving, v_busy, v_members
  FROM lock_reservations(p_ids, p_wait => p_wait) AS l;
  v_now := clock_timestamp();

  -- Joined with each other, the two arrays are hashed.
  WITH payments AS MATERIALIZED (
    SELECT c.* FROM unnest(p_ids, p_references, p_amounts, p_currencies, p_traces) AS c (id, reference, amount, currency, trace)
    JOIN unnest(v_locked) AS l (id) ON l.id = c.id
  ), confirmed AS (
    UPDATE reservation r
    SET state = 'CONFIRMED', payment_reference = c.reference, finished_at = v_now, revision = r.revision + 1
    FROM payments c
    WHERE r.reservation_id = c.id AND r.state = 'PENDING' AND r.amount_minor = c.amount AND r.currency = c.currency
    RETURNING r AS changed, c.trace
  ), batch AS (
    SELECT array_agg(c.changed) AS changed, array_agg((c.changed).reservation_id) AS ids, array_agg(c.trace) AS traces
    FROM confirmed c
  )
  SELECT b.ids INTO v_done
  FROM batch b, write_outbox('reservation.confirmed', b.changed, v_now, p_traces => b.traces);

  RETURN QUERY
  SELECT c.idx::integer,
         CASE WHEN done.id IS NOT NULL THEN 'DONE'
              WHEN l.id IS NULL THEN CASE WHEN c.id = ANY (v_leaving) THEN 'MOVING' WHEN c.id = ANY (v_busy) THEN 'BUSY'
                                         WHEN c.id = ANY (v_members) THEN 'GROUP' ELSE 'NOT_FOUND' END
              WHEN r.amount_minor <> c.amount OR r.currency <> c.currency THEN 'PAYMENT_MISMATCH'
              WHEN r.state = 'CONFIRMED' AND r.payment_reference = c.reference THEN 'REPLAYED'
              ELSE 'STATE'
         END,
         NULL::bigint, r.*
  FROM unnest(p_ids, p_references, p_amounts, p_currencies) WITH ORDINALITY AS c (id, reference, amount, currency, idx)
  LEFT JOIN unnest(v_locked) AS l (id) ON l.id = c.id
  LEFT JOIN unnest(v_done) AS done (id) ON done.id = c.id
  LEFT JOIN LATERAL (SELECT x.* FROM reservation_columns x WHERE x.reservation_id = l.id OFFSET 0) AS r ON true;
END
$$;
