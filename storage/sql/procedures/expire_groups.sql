-- Ends groups whose deadline has passed, by this database's clock. One with enough seats for its PARTIAL offer is FILLED: those who have
-- paid are confirmed. Any other one is FAILED: holds of members end, the units go to the pools, and whoever has paid is to be refunded.
-- Also ends what unpaid members of groups that are over still hold. One transaction, of about p_limit holds; all paid members of one group
-- are settled at once. Of others, 10 * p_limit are looked at, at most: settled_to keeps how far, so that a group with many, whose holds may
-- have lapsed long ago, costs no more than once through them. It never gets a member behind that place, nor any, once it is over and was
-- locked here: see join_groups.
--
-- Returns how many groups were filled and failed; how many holds were ended; whether others are due (beyond the limit, or locked just now:
-- call again); the microseconds until the first deadline of a group that forms: below 0 if it has passed, NULL if none forms; and of how many
-- groups that are over more is settled than before, perhaps without a hold that was left to end. Where all of these counts are 0, and `more`,
-- others have what is due. `more` and a deadline to come, or none: all that is due is to settle groups that are over.
-- Groups of SKUs that are on their way to another shard are left alone: the shard that has the SKU in the end ends them.
--
-- Why it is safe:
--   seats         decided with the group locked, which whoever pays, leaves or cancels it has locked, too; joins have it locked, too
--   all or none   a group of which a paid member's reservation is locked by another transaction is left for another call
--   conservation  what leaves PENDING here is what the pools receive, in this transaction
--
-- Any number may run side by side. Locks: see lock_due_groups; then reservations, without waiting.
CREATE OR REPLACE FUNCTION tranche.expire_groups(p_limit integer)
RETURNS TABLE (filled bigint, failed bigint, ended bigint, more boolean, next_us bigint, settled bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
-- The next deadline by an index scan in order: a bitmap would first collect all groups that form.
SET enable_seqscan = off
SET enable_bitmapscan = off
-- A generic plan made while a table was empty would read all of it later.
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
  v_now     timestamptz := clock_timestamp();
  v_groups  uuid[];
  -- Their paid holds that are to be settled, and the groups of these.
  v_paid        uuid[];
  v_paid_groups uuid[];
  v_ids     uuid[];  -- the holds that are locked
  v_left    uuid[];
  v_sold    uuid[];
  v_ending  uuid[];
  -- Unpaid members that were looked at, and whether they hold units.
  v_over    uuid[];
  v_users   text[];
  v_looked  uuid[];
  v_held    boolean[];
  v_reasons text[];
  v_first   uuid;  -- of those that are due
  v_next    timestamptz;
BEGIN
  IF p_limit < 1 THEN
    RAISE EXCEPTION 'the limit must be at least 1' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  v_groups := lock_due_groups(v_now, p_limit);
  -- All paid holds of those that form still; of others they have been settled. Each row by itself and by its key, here and below: a join,
  -- or an index of a state, could read all of a table.
  SELECT array_agg(m.reservation_id), array_agg(m.group_id) INTO v_paid, v_paid_groups
  FROM unnest(v_groups) AS u (id)
  CROSS JOIN LATERAL (SELECT x.state FROM group_buy x WHERE x.group_id = u.id OFFSET 0) AS g
  CROSS JOIN LATERAL (SELECT x.* FROM group_member x WHERE x.group_id = u.id AND x.seat_no IS NOT NULL OFFSET 0) AS m
  WHERE g.state = 'FORMING';
  SELECT coalesce(array_agg(l.reservation_id), '{}'::uuid[]) INTO v_ids
  FROM (SELECT r.reservation_id, r.state FROM reservation r WHERE r.reservation_id = ANY (v_paid) OFFSET 0 FOR UPDATE SKIP LOCKED) AS l
  WHERE l.state = 'PENDING';
  SELECT coalesce(array_agg(DISTINCT p.group_id), '{}'::uuid[]) INTO v_left
  FROM unnest(v_paid, v_paid_groups) AS p (id, group_id)
  CROSS JOIN LATERAL (SELECT x.state FROM reservation x WHERE x.reservation_id = p.id OFFSET 0) AS r
  WHERE p.id <> ALL (v_ids) AND r.state = 'PENDING';

  v_now := clock_timestamp();
  WITH decided AS (
    UPDATE group_buy g
    SET state = CASE WHEN x.sold THEN 'FILLED' ELSE 'FAILED' END, partial = x.sold, finished_at = v_now, revision = g.revision + 1
    FROM (SELECT y.group_id, coalesce(y.seats_taken >= o.min_members, false) AS sold
          FROM unnest(v_groups) AS u (id)
          CROSS JOIN LATERAL (SELECT g.* FROM group_buy g WHERE g.group_id = u.id OFFSET 0) AS y
          LEFT JOIN group_offer o ON o.sku_id = y.sku_id AND o.offer_id = y.offer_id AND o.on_timeout = 'PARTIAL'
          WHERE y.group_id <> ALL (v_left) AND y.state = 'FORMING') AS x
    WHERE g.group_id = x.group_id
    RETURNING g.state
  )
  SELECT count(*) FILTER (WHERE d.state = 'FILLED'), count(*) FILTER (WHERE d.state = 'FAILED') INTO filled, failed FROM decided d;

  -- What unpaid members of those that are over hold: in the order of buyers, after the place up to which it is settled.
  SELECT array_agg(c.group_id ORDER BY c.nth), array_agg(c.user_id ORDER BY c.nth), array_agg(c.reservation_id ORDER BY c.nth),
         array_agg(c.held ORDER BY c.nth)
  INTO v_over, v_users, v_looked, v_held
  FROM (SELECT l.*, count(*) FILTER (WHERE l.held) OVER (ORDER BY l.nth) AS holds
        FROM (SELECT row_number() OVER () AS nth, m.*,
                     (SELECT r.state FROM reservation r WHERE r.reservation_id = m.reservation_id) IS NOT DISTINCT FROM 'PENDING' AS held
              FROM (SELECT x.group_id, x.user_id, x.reservation_id
                    FROM unnest(v_groups) AS u (id)
                    CROSS JOIN LATERAL (SELECT y.state, y.settled_to FROM group_buy y WHERE y.group_id = u.id OFFSET 0) AS g
                    CROSS JOIN LATERAL (SELECT y.* FROM group_member y
                                        WHERE y.group_id = u.id AND y.user_id > g.settled_to AND y.seat_no IS NULL
                                        ORDER BY y.user_id LIMIT 10 * p_limit) AS x
                    WHERE g.state <> 'FORMING'
                    LIMIT 10 * p_limit) AS m) AS l) AS c
  WHERE c.holds <= p_limit - cardinality(v_ids);
  SELECT v_ids || array_agg(l.reservation_id) INTO v_ids
  FROM (SELECT r.reservation_id, r.state FROM reservation r
        WHERE r.reservation_id = ANY (ARRAY(SELECT c.id FROM unnest(v_looked, v_held) AS c (id, held) WHERE c.held))
        OFFSET 0 FOR UPDATE SKIP LOCKED) AS l
  WHERE l.state = 'PENDING';

  SELECT array_agg(h.id) FILTER (WHERE h.reason IS NULL), array_agg(h.id) FILTER (WHERE h.reason IS NOT NULL),
         array_agg(h.reason) FILTER (WHERE h.reason IS NOT NULL)
  INTO v_sold, v_ending, v_reasons
  FROM (SELECT i.id,
               CASE WHEN g.state <> 'FILLED' THEN 'GROUP_' || g.state WHEN m.seat_no IS NULL THEN 'GROUP_FULL' END AS reason
        FROM unnest(v_ids) AS i (id)
        CROSS JOIN LATERAL (SELECT x.* FROM group_member x WHERE x.reservation_id = i.id OFFSET 0) AS m
        CROSS JOIN LATERAL (SELECT x.state FROM group_buy x WHERE x.group_id = m.group_id OFFSET 0) AS g
        WHERE g.state <> 'FORMING') AS h;
  IF v_sold IS NOT NULL THEN
    PERFORM confirm_seats(v_sold, v_now);
  END IF;
  ended := cardinality(end_group_holds(v_ending, v_reasons))::bigint;

  -- Settled up to the first hold that another transaction has locked.
  WITH looked AS MATERIALIZED (
    SELECT c.group_id, c.user_id, c.nth,
           bool_or(c.held AND c.id <> ALL (v_ids)) OVER (PARTITION BY c.group_id ORDER BY c.nth) AS stuck
    FROM unnest(v_over, v_users, v_looked, v_held) WITH ORDINALITY AS c (group_id, user_id, id, held, nth)
  ), reached AS MATERIALIZED (
    SELECT DISTINCT ON (l.group_id) l.group_id, l.user_id FROM looked l WHERE NOT l.stuck ORDER BY l.group_id, l.nth DESC
  )
  UPDATE group_buy g SET settled_to = s.place, unsettled = s.unsettled
  FROM (SELECT u.id, p.place,
               EXISTS (SELECT FROM group_member m
                       WHERE m.group_id = u.id AND m.user_id > p.place COLLATE "C" AND m.seat_no IS NULL) AS unsettled
        FROM unnest(v_groups) AS u (id)
        LEFT JOIN reached r ON r.group_id = u.id
        CROSS JOIN LATERAL (SELECT x.state, coalesce(r.user_id, x.settled_to) AS place FROM group_buy x
                            WHERE x.group_id = u.id OFFSET 0) AS p
        WHERE p.state <> 'FORMING') AS s
  WHERE g.group_id = s.id AND (g.settled_to <> s.place OR g.unsettled <> s.unsettled);
  GET DIAGNOSTICS settled = ROW_COUNT;

  v_now := clock_timestamp();
  -- The group and its deadline in one statement: between two, it could be filled. By the key alone: the index of those that form could be
  -- read from end to end.
  SELECT d.group_id, (SELECT CASE WHEN x.state = 'FORMING' THEN x.deadline_at END FROM group_buy x WHERE x.group_id = d.group_id)
  INTO v_first, v_next
  FROM due_groups(v_now, '{}'::text[], 1) AS d
  LIMIT 1;
  more := v_first IS NOT NULL;
  IF v_next IS NULL THEN
    SELECT g.deadline_at INTO v_next FROM group_buy g
    WHERE g.state = 'FORMING' AND g.deadline_at > v_now AND (SELECT s.whereabouts FROM sku s WHERE s.sku_id = g.sku_id) = 'HERE'
    ORDER BY g.deadline_at, g.group_id
    LIMIT 1;
  END IF;
  next_us := (extract(epoch FROM v_next - v_now) * 1000000)::bigint;
  RETURN NEXT;
END
$$;
