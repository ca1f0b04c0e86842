-- Cancels a batch of reservations in one transaction: PENDING becomes CANCELLED, and the units go to the pools. Set-based:
-- a constant number of statements however long the batch.
--
-- p_ids must be distinct. Returns one row per id with its position `idx` (from 1), the reservation as it is now, and the
-- outcome:
--   DONE REPLAYED (it is cancelled already, for whatever reason) STATE (confirmed or expired) and, without the
--   reservation, NOT_FOUND and MOVING, GROUP (a member of a group: leave_groups decides), and without p_wait BUSY (another
--   transaction has locked it, its SKU or its pool slot, and nothing is decided)
-- Rows come in no order.
--
-- Why it is safe:
--   state         decided with the reservation locked; the trigger reservation_transition refuses what is wrong here
--   conservation  what leaves PENDING here is what the pools receive, in this transaction
--   moving SKUs   pinned before their whereabouts are read
--
-- Locks: pins; the rows of the SKUs, ascending; their pool slots, in this order; the reservations in (sku, user, id) order.
-- Why no cycle results: all others who lock SKU rows take them before slots and reservations, ascending, and hold the
-- SKU's row when they want a pool slot. So nobody can hold a pool slot that we want once we have the row. Sales lock
-- their own slots, never a pool. They wait for our reservations only when they insert for the same buyer, with all
-- their slots locked, and we never wait for those slots. confirm_reservations and extend_reservations lock only
-- reservations, in our order.
CREATE OR REPLACE FUNCTION tranche.cancel_reservations(p_ids uuid[], p_reasons text[], p_wait boolean DEFAULT true,
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
  v_changed reservation[];
  v_now     timestamptz;
BEGIN
  SELECT l.locked, l.leaving, l.busy, l.members INTO v_locked, v_leaving, v_busy, v_members
  FROM lock_reservations(p_ids, p_pools => true, p_wait => p_wait) AS l;
  v_now := clock_timestamp();

  -- Joined with each other, the two arrays are hashed.
  WITH reasons AS MATERIALIZED (
    SELECT c.* FROM unnest(p_ids, p_reasons, p_traces) AS c (id, reason, trace)
    JOIN unnest(v_locked) AS l (id) ON l.id = c.id
  ), cancelled AS (
    UPDATE reservation r
    SET state = 'CANCELLED', cancel_reason = c.reason, finished_at = v_now, revision = r.revision + 1
    FROM reasons c
    WHERE r.reservation_id = c.id AND r.state = 'PENDING'
    RETURNING r AS changed, c.trace
  ), batch AS (
    SELECT array_agg(c.changed) AS changed, array_agg((c.changed).reservation_id) AS ids, array_agg(c.trace) AS traces
    FROM cancelled c
  )
  SELECT b.ids, b.changed INTO v_done, v_changed
  FROM batch b, write_outbox('reservation.cancelled', b.changed, v_now, p_traces => b.traces);
  IF v_done IS NOT NULL THEN
    PERFORM return_units(array_agg(c.sku_id), array_agg(c.quantity::bigint)) FROM unnest(v_changed) AS c;
  END IF;

  RETURN QUERY
  SELECT c.idx::integer,
         CASE WHEN done.id IS NOT NULL THEN 'DONE'
              WHEN l.id IS NULL THEN CASE WHEN c.id = ANY (v_leaving) THEN 'MOVING' WHEN c.id = ANY (v_busy) THEN 'BUSY'
                                         WHEN c.id = ANY (v_members) THEN 'GROUP' ELSE 'NOT_FOUND' END
              WHEN r.state = 'CANCELLED' THEN 'REPLAYED'
              ELSE 'STATE'
         END,
         NULL::bigint, r.*
  FROM unnest(p_ids) WITH ORDINALITY AS c (id, idx)
  LEFT JOIN unnest(v_locked) AS l (id) ON l.id = c.id
  LEFT JOIN unnest(v_done) AS done (id) ON done.id = c.id
  LEFT JOIN LATERAL (SELECT x.* FROM reservation_columns x WHERE x.reservation_id = l.id OFFSET 0) AS r ON true;
END
$$;
