-- Pays for the seats of a batch of members of groups, in one transaction: each payment takes the lowest free seat of its group, in the
-- order of the batch, which is that of their arrival. The reservation stays PENDING; the last seat confirms all members of the group.
-- Set-based: a constant number of statements however long the batch.
--
-- Parameters and answers are those of confirm_reservations, which sends members here. The outcomes:
--   DONE (the seat is paid: the reservation is CONFIRMED if the group is full now, otherwise PENDING) REPLAYED (this payment has the
--   seat, or had confirmed it) PAYMENT_MISMATCH (another amount or currency) STATE (not pending any more, or another payment
--   has the seat) GROUP_OVER (no seat is to be had: the group is full or over, or its deadline has passed) and, without the reservation,
--   NOT_FOUND (also if it is no member of a group) and MOVING, and without p_wait BUSY (another transaction has locked it, its
--   group, or who would be confirmed with it, and nothing is decided)
-- Rows come in no order. A hold whose time is over can be paid until it is expired, before the group's deadline.
--
-- Why it is safe:
--   seats         decided with the group locked, by this database's clock; no seat is given twice, by the index group_seat, and no
--                 more than there are, by the checks of group_buy
--   all or none   the last seat and what it confirms are one transaction
--   state         decided with the reservations locked; the triggers reservation_transition and group_transition refuse what
--                 is wrong here
--   conservation  units do not move: what was reserved stays reserved
--   moving SKUs   pinned before their whereabouts are read
--
-- Locks: those of lock_group_seats; no SKU and no slot, so the payments of a SKU's groups do not wait for each other. Others who lock
-- groups lock them ascending as well, with what they need of SKUs and slots locked before, and reservations only afterwards. So
-- while we wait for a group we hold nothing but groups below it, and while we wait for a reservation, nobody who has it wants a
-- group. Joins do not wait for us, nor we for them.
CREATE OR REPLACE FUNCTION tranche.pay_group_seats(p_ids uuid[], p_references text[], p_amounts bigint[], p_currencies text[],
                                                   p_wait boolean DEFAULT true, p_traces text[] DEFAULT NULL)
RETURNS SETOF tranche.change_answer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  v_locked     uuid[];
  v_leaving    uuid[];
  v_busy       uuid[];
  v_ids        uuid[];
  v_references text[];
  v_traces     text[];
  v_done       uuid[];
BEGIN
  IF (SELECT count(DISTINCT id) FROM unnest(p_ids) AS id) <> cardinality(p_ids) THEN
    RAISE EXCEPTION 'reservation ids of a batch must be distinct' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT l.locked, l.leaving, l.busy INTO v_locked, v_leaving, v_busy FROM lock_group_seats(p_ids, p_wait) AS l;

  SELECT array_agg(c.id ORDER BY c.idx), array_agg(c.reference ORDER BY c.idx), array_agg(c.trace ORDER BY c.idx)
  INTO v_ids, v_references, v_traces
  FROM unnest(p_ids, p_references, p_amounts, p_currencies, p_traces) WITH ORDINALITY
         AS c (id, reference, amount, currency, trace, idx)
  JOIN unnest(v_locked) AS l (id) ON l.id = c.id
  -- By the key alone: the index of pending ones could be read from end to end.
  CROSS JOIN LATERAL (SELECT x.* FROM reservation x WHERE x.reservation_id = c.id OFFSET 0) AS r
  WHERE r.state = 'PENDING' AND r.amount_minor = c.amount AND r.currency = c.currency;
  IF v_ids IS NOT NULL THEN
    v_done := take_group_seats(v_ids, v_references, v_traces, clock_timestamp());
  END IF;

  RETURN QUERY
  SELECT c.idx::integer,
         CASE WHEN done.id IS NOT NULL THEN 'DONE'
              WHEN l.id IS NULL THEN CASE WHEN c.id = ANY (v_leaving) THEN 'MOVING' WHEN c.id = ANY (v_busy) THEN 'BUSY'
                                         ELSE 'NOT_FOUND' END
              WHEN r.amount_minor <> c.amount OR r.currency <> c.currency THEN 'PAYMENT_MISMATCH'
              WHEN c.reference = CASE r.state WHEN 'PENDING' THEN m.payment_reference WHEN 'CONFIRMED' THEN r.payment_reference END
                   THEN 'REPLAYED'
              WHEN r.state <> 'PENDING' OR m.payment_reference IS NOT NULL THEN 'STATE'
              ELSE 'GROUP_OVER'
         END,
         NULL::bigint, r.*
  FROM unnest(p_ids, p_references, p_amounts, p_currencies) WITH ORDINALITY AS c (id, reference, amount, currency, idx)
  LEFT JOIN unnest(v_locked) AS l (id) ON l.id = c.id
  LEFT JOIN unnest(v_done) AS done (id) ON done.id = c.id
  LEFT JOIN LATERAL (SELECT x.* FROM reservation_columns x WHERE x.reservation_id = l.id OFFSET 0) AS r ON true
  LEFT JOIN LATERAL (SELECT x.payment_reference FROM group_member x WHERE x.reservation_id = l.id OFFSET 0) AS m ON true;
END
$$;
