-- Expires up to p_limit unpaid holds whose time is over, the longest overdue first: PENDING becomes EXPIRED, and the
-- units go to the pools. A group in which nobody is any more ends with its last hold (end_empty_groups). One transaction. Only due holds
-- are read, by the index reservation_due: the cost does not grow with the number of live holds or of finished reservations. Only this
-- database's clock decides what is due.
--
-- Returns how many it expired, whether others are due (beyond the limit, or locked just now), and the microseconds until the next one
-- is due: 0 if one is, NULL if there is none. Holds of SKUs that are on their way to another shard are left alone, and
-- not counted: the shard that has the SKU in the end expires them. So are those of members of groups who have paid: they end with their
-- groups (expire_groups).
--
-- A hold of a member is passed over while another transaction has its group locked, such as a payment that may be its own.
-- Holds of a SKU whose row or pool slot another transaction has locked are passed over, so that the lock stops that
-- SKU's holds only. `locked` names one of these SKUs, any, or is NULL. A call looks at 10 * p_limit holds at most, paid ones included;
-- (at_due, at_id) is the last of them, NULL if no others are due. Given back as p_after_due and p_after_id, the next
-- call goes on behind it, however many holds of the locked SKU come first. p_wait_for: a SKU that was locked; this call
-- waits for it, but only for a moment, and before it has locked anything (see await_pool).
--
-- Any number may run side by side. The candidates are read without locks, because a reservation's lock comes after
-- those of its SKU. Candidates that others have expired or locked meanwhile are skipped.
--
-- Locks: p_wait_for's row and pool slot; then, without waiting, the rows of the other SKUs, their pool slots, the groups of members, and
-- the reservations. It waits for nobody while it holds a lock, so it is part of no cycle. While it has a SKU's row, the SKU
-- stays on this shard: so it needs no pin.
CREATE OR REPLACE FUNCTION tranche.expire_due(p_limit integer, p_after_due timestamptz DEFAULT NULL,
                                              p_after_id uuid DEFAULT NULL, p_wait_for text DEFAULT NULL)
RETURNS TABLE (expired bigint, more boolean, next_us bigint, at_due timestamptz, at_id uuid, locked text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
-- Only an index scan in order: a bitmap would first collect everything that is due.
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
  v_now        timestamptz := clock_timestamp();
  v_at_due     timestamptz := coalesce(p_after_due, '-infinity'::timestamptz);
  v_at_id      uuid := coalesce(p_after_id, '00000000-0000-0000-0000-000000000000'::uuid);
  v_candidates uuid[] := '{}'::uuid[];
  v_free       text[] := '{}'::text[];  -- SKUs that we have locked
  v_locked     text[] := '{}'::text[];  -- SKUs that others have
  v_left       integer;
  v_ids        uuid[];
  v_ids_skus   text[];
  v_ids_due    timestamptz[];
  v_paid       boolean[];
  v_ids_groups uuid[];
  -- Of members among the candidates; those that we have locked, and those that others have.
  v_groups     uuid[] := '{}'::uuid[];
  v_held       uuid[];
  v_busy       uuid[];
  v_skus       text[];
  v_got        text[];
  v_changed    reservation[];
  v_next       timestamptz;
  v_skipped    boolean;
BEGIN
  IF p_limit < 1 THEN
    RAISE EXCEPTION 'the limit must be at least 1' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF p_wait_for IS NOT NULL AND await_pool(p_wait_for) THEN
    v_free := ARRAY[p_wait_for];
  END IF;

  -- One round, unless something is locked, or paid.
  FOR v_round IN 1..10 LOOP
    v_left := p_limit - cardinality(v_candidates);
    SELECT array_agg(d.reservation_id), array_agg(d.sku_id), array_agg(d.expires_at), array_agg(d.paid), array_agg(d.group_id)
    INTO v_ids, v_ids_skus, v_ids_due, v_paid, v_ids_groups
    FROM due_holds(v_now, v_at_due, v_at_id, v_left) AS d;
    EXIT WHEN v_ids IS NULL;
    v_at_due := v_ids_due[cardinality(v_ids)];
    v_at_id := v_ids[cardinality(v_ids)];

    SELECT array_agg(DISTINCT s) INTO v_skus FROM unnest(v_ids_skus, v_paid) AS c (s, paid) WHERE NOT c.paid AND s <> ALL (v_free || v_locked);
    SELECT array_agg(l.sku_id) INTO v_got
    FROM (SELECT s.sku_id::text FROM sku s
          WHERE s.sku_id = ANY (v_skus) AND s.whereabouts = 'HERE'
          ORDER BY s.sku_id FOR UPDATE SKIP LOCKED) AS l;
    SELECT array_agg(l.sku_id) INTO v_got
    FROM (SELECT sl.sku_id::text FROM stock_slot sl
          WHERE sl.sku_id = ANY (v_got) AND sl.slot_no = 0
          ORDER BY sl.sku_id FOR UPDATE SKIP LOCKED) AS l;
    v_free := v_free || v_got;
    SELECT v_locked || array_agg(s) INTO v_locked FROM unnest(v_skus) AS s WHERE s <> ALL (v_free);
    SELECT v_candidates || array_agg(c.id), v_groups || array_agg(c.group_id) FILTER (WHERE c.group_id IS NOT NULL)
    INTO v_candidates, v_groups
    FROM unnest(v_ids, v_ids_skus, v_paid, v_ids_groups) AS c (id, sku_id, paid, group_id) WHERE NOT c.paid AND c.sku_id = ANY (v_free);
    EXIT WHEN cardinality(v_ids) < v_left OR cardinality(v_candidates) = p_limit;
  END LOOP;

  IF v_groups <> '{}'::uuid[] THEN
    SELECT coalesce(array_agg(l.group_id), '{}'::uuid[]) INTO v_held
    FROM (SELECT g.group_id FROM group_buy g WHERE g.group_id = ANY (v_groups) ORDER BY g.group_id FOR NO KEY UPDATE SKIP LOCKED) AS l;
    SELECT array_agg(g.group_id) INTO v_busy FROM group_buy g WHERE g.group_id = ANY (v_groups) AND g.group_id <> ALL (v_held);
  END IF;

  -- It may have been extended since: check again that it is due. Or paid as a group's: looked at behind the lock, by a newer snapshot.
  v_now := clock_timestamp();
  SELECT array_agg(l.reservation_id) INTO v_ids
  FROM (SELECT r.reservation_id FROM reservation r
        WHERE r.reservation_id = ANY (v_candidates) AND r.state = 'PENDING' AND r.expires_at <= v_now
          AND (r.group_id = ANY (v_busy)) IS NOT TRUE
        FOR UPDATE SKIP LOCKED) AS l;
  IF v_ids IS NOT NULL THEN
    WITH lapsed AS (
      UPDATE reservation r SET state = 'EXPIRED', finished_at = v_now, revision = r.revision + 1
      FROM unnest(v_ids) AS l (id)
      WHERE r.reservation_id = l.id
        AND (r.group_id IS NULL
             OR NOT EXISTS (SELECT FROM group_member m WHERE m.reservation_id = r.reservation_id AND m.seat_no IS NOT NULL OFFSET 0))
      RETURNING r AS changed
    ), batch AS (
      SELECT array_agg(c.changed) AS changed FROM lapsed c
    )
    SELECT b.changed INTO v_changed FROM batch b, write_outbox('reservation.expired', b.changed, v_now);
  END IF;
  IF v_changed IS NOT NULL THEN
    PERFORM return_units(array_agg(c.sku_id), array_agg(c.quantity::bigint)) FROM unnest(v_changed) AS c;
    IF v_held IS NOT NULL THEN
      PERFORM end_empty_groups(array_agg(c.group_id)) FROM unnest(v_changed) AS c WHERE c.group_id IS NOT NULL;
    END IF;
  END IF;

  -- A paid seat counts: looking up all of them would cost more than a call in vain.
  SELECT r.expires_at INTO v_next FROM reservation r
  WHERE r.state = 'PENDING' AND r.expires_at >= v_at_due AND (r.expires_at > v_at_due OR r.reservation_id > v_at_id)
    AND (SELECT s.whereabouts FROM sku s WHERE s.sku_id = r.sku_id) = 'HERE'
  ORDER BY r.expires_at
  LIMIT 1;
  v_now := clock_timestamp();
  -- Holds in another's hands: one way or the other, that is over at once.
  v_skipped := cardinality(v_candidates) > coalesce(cardinality(v_changed), 0)
    AND EXISTS (SELECT FROM reservation r
                WHERE r.reservation_id = ANY (v_candidates) AND r.state = 'PENDING' AND r.expires_at <= v_now
                  AND (r.group_id IS NULL
                       OR NOT EXISTS (SELECT FROM group_member m
                                      WHERE m.reservation_id = r.reservation_id AND m.seat_no IS NOT NULL OFFSET 0)));
  RETURN QUERY
  SELECT coalesce(cardinality(v_changed), 0)::bigint, v_skipped OR coalesce(v_next <= v_now, false),
         CASE WHEN v_skipped THEN 0 WHEN v_next IS NOT NULL THEN greatest(0, (date_part('epoch', v_next - v_now) * 1000000)::bigint) END,
         CASE WHEN v_next <= v_now THEN v_at_due END, CASE WHEN v_next <= v_now THEN v_at_id END,
         v_locked[1 + floor(random() * cardinality(v_locked))::integer];
END
$$;
