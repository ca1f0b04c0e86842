-- Moves up to p_limit reservations into reservation_archive or, without p_archive, deletes them: lapsed ones that ended
-- more than p_age_seconds ago, and equally old confirmed ones of SKUs whose sale is over. Their sums are added to
-- retired_units. Returns how many; 0 also while another worker does it: only one at a time.
--
-- A reservation id is an idempotency key while its row is here, hence the least age. A reservation with an undelivered
-- message, dead ones included, stays. So does every reservation of a SKU that is not HERE or is being copied to another
-- shard: the copy is brought up to date by changes, and would not notice deleted rows.
--
-- Effect on a running sale: only a change of the very reservation that is being retired waits for this; no row of a SKU
-- or slot is locked. Lapsed ones are found by reservation_lapsed, the oldest first. For confirmed ones it skips over
-- reservation_live_buyer from SKU to SKU, and reads on in one whose sale is over if one of its first ten is old enough.
-- So today's sales cost only a look each, and a SKU whose first ten are too young is skipped until one is old enough.
--
-- Many reservations that must stay do not make a call more expensive: of each kind it reads at most 10 * p_limit
-- reservations, and if these hold fewer than p_limit to retire, the next call continues after them (retire_cursor), and
-- from the end starts again at the beginning. So it may return less than p_limit, even 0, while there are others.
CREATE OR REPLACE FUNCTION tranche.retire_reservations(p_age_seconds bigint, p_limit integer, p_archive boolean)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
  c_start   constant retire_cursor := ROW (true, '-infinity'::timestamptz, '00000000-0000-0000-0000-000000000000'::uuid,
                                              '', '', 0);
  v_before  timestamptz := clock_timestamp() - make_interval(secs => p_age_seconds);
  v_from    retire_cursor;
  v_to      retire_cursor := c_start;
  v_left    integer;
  v_ids     uuid[];
  v_skus    text[];
  v_retired bigint;
BEGIN
  IF p_age_seconds IS NULL OR p_age_seconds < 86400 THEN
    RAISE EXCEPTION 'reservations are kept for at least 86400 seconds' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF NOT pg_try_advisory_xact_lock(hashtextextended('tranche.retire_reservations', 0)) THEN
    RETURN 0::bigint;
  END IF;

  -- 1. Choose, without locks: the first p_limit of the rows that are read.
  SELECT * INTO v_from FROM retire_cursor;
  WITH looked AS MATERIALIZED (
    SELECT r.reservation_id, r.sku_id, r.finished_at
    FROM reservation r
    WHERE r.state IN ('CANCELLED', 'EXPIRED') AND r.finished_at < v_before
      AND (r.finished_at, r.reservation_id) > (v_from.finished_at, v_from.reservation_id)
    ORDER BY r.finished_at, r.reservation_id
    LIMIT 10 * p_limit
  ), chosen AS MATERIALIZED (
    SELECT l.*
    FROM looked l
    WHERE EXISTS (SELECT FROM sku s WHERE s.sku_id = l.sku_id AND s.whereabouts = 'HERE' AND s.move_token IS NULL OFFSET 0)
      AND NOT EXISTS (SELECT FROM outbox o WHERE o.reservation_id = l.reservation_id OFFSET 0)
    ORDER BY l.finished_at, l.reservation_id
    LIMIT p_limit
  ), last AS (
    SELECT l.finished_at, l.reservation_id FROM looked l WHERE (SELECT count(*) FROM looked) = 10 * p_limit
    ORDER BY l.finished_at DESC, l.reservation_id DESC LIMIT 1
  )
  SELECT (SELECT array_agg(c.reservation_id) FROM chosen c), (SELECT array_agg(DISTINCT c.sku_id) FROM chosen c),
         coalesce(l.finished_at, c_start.finished_at), coalesce(l.reservation_id, c_start.reservation_id)
  INTO v_ids, v_skus, v_to.finished_at, v_to.reservation_id
  FROM (SELECT) AS one LEFT JOIN last l ON true;
  v_left := p_limit - coalesce(cardinality(v_ids), 0);
  IF v_left = 0 THEN
    v_to := v_from;
  ELSE
    WITH RECURSIVE live (sku_id) AS (
      (SELECT r.sku_id FROM reservation r
       WHERE r.state IN ('PENDING', 'CONFIRMED') AND r.sku_id >= v_from.sku_id ORDER BY r.sku_id LIMIT 1)
      UNION ALL
      SELECT (SELECT r.sku_id FROM reservation r
              WHERE r.state IN ('PENDING', 'CONFIRMED') AND r.sku_id > l.sku_id ORDER BY r.sku_id LIMIT 1)
      FROM live l WHERE l.sku_id IS NOT NULL
    ), looked AS MATERIALIZED (
      SELECT next.*
      FROM live l
      CROSS JOIN LATERAL (SELECT r.reservation_id, r.sku_id, r.user_id, r.ordinal,
                                 r.state = 'CONFIRMED' AND r.finished_at < v_before AS old
                          FROM reservation r
                          WHERE r.sku_id = l.sku_id AND r.state IN ('PENDING', 'CONFIRMED')
                            AND (r.user_id, r.ordinal) > (CASE WHEN l.sku_id = v_from.sku_id THEN v_from.user_id ELSE '' END,
                                                          CASE WHEN l.sku_id = v_from.sku_id THEN v_from.ordinal ELSE 0 END)
                          ORDER BY r.user_id, r.ordinal
                          LIMIT 10 * p_limit) AS next
      WHERE EXISTS (SELECT FROM sku s
                    WHERE s.sku_id = l.sku_id AND s.whereabouts = 'HERE' AND s.move_token IS NULL
                      AND (s.state = 'CLOSED' OR s.closes_at <= now()) OFFSET 0)
        AND EXISTS (SELECT FROM (SELECT r.finished_at FROM reservation r
                                 WHERE r.sku_id = l.sku_id AND r.state IN ('PENDING', 'CONFIRMED')
                                 ORDER BY r.user_id, r.ordinal LIMIT 10) AS first
                    WHERE first.finished_at < v_before)
      LIMIT 10 * p_limit
    ), chosen AS MATERIALIZED (
      SELECT l.*
      FROM looked l
      WHERE l.old AND NOT EXISTS (SELECT FROM outbox o WHERE o.reservation_id = l.reservation_id OFFSET 0)
      ORDER BY l.sku_id, l.user_id, l.ordinal
      LIMIT v_left
    ), last AS (
      SELECT l.sku_id, l.user_id, l.ordinal FROM looked l WHERE (SELECT count(*) FROM looked) = 10 * p_limit
      ORDER BY l.sku_id DESC, l.user_id DESC, l.ordinal DESC LIMIT 1
    )
    SELECT v_ids || (SELECT array_agg(c.reservation_id) FROM chosen c),
           v_skus || (SELECT array_agg(DISTINCT c.sku_id)::text[] FROM chosen c),
           coalesce(l.sku_id, c_start.sku_id), coalesce(l.user_id, c_start.user_id), coalesce(l.ordinal, c_start.ordinal)
    INTO v_ids, v_skus, v_to.sku_id, v_to.user_id, v_to.ordinal
    FROM (SELECT) AS one LEFT JOIN last l ON true;
    IF cardinality(v_ids) = p_limit THEN
      v_to.sku_id := v_from.sku_id;
      v_to.user_id := v_from.user_id;
      v_to.ordinal := v_from.ordinal;
    END IF;
  END IF;
  UPDATE retire_cursor
  SET (finished_at, reservation_id, sku_id, user_id, ordinal)
    = ROW (v_to.finished_at, v_to.reservation_id, v_to.sku_id, v_to.user_id, v_to.ordinal)
  WHERE v_to IS DISTINCT FROM v_from;
  IF coalesce(cardinality(v_ids), 0) = 0 THEN
    RETURN 0::bigint;
  END IF;

  -- 2. Keep their SKUs here, and lock them. A row that somebody changes now (a late payment) is left for another call.
  PERFORM pin_skus(v_skus);
  SELECT array_agg(l.reservation_id) INTO v_ids
  FROM (SELECT r.reservation_id
        FROM unnest(v_ids) AS c (id)
        JOIN reservation r ON r.reservation_id = c.id
        ORDER BY r.sku_id, r.user_id, r.reservation_id
        FOR UPDATE OF r SKIP LOCKED) AS l;

  -- 3. A separate statement: it sees the messages written before the locks, and where the SKUs are now.
  WITH gone AS (
    DELETE FROM reservation r
    USING unnest(v_ids) AS c (id)
    WHERE r.reservation_id = c.id AND r.state <> 'PENDING' AND r.finished_at < v_before AND r.created_at < v_before
      AND EXISTS (SELECT FROM sku s WHERE s.sku_id = r.sku_id AND s.whereabouts = 'HERE' AND s.move_token IS NULL OFFSET 0)
      AND NOT EXISTS (SELECT FROM outbox o WHERE o.reservation_id = r.reservation_id OFFSET 0)
    RETURNING r.*
  ), archived AS (
    INSERT INTO reservation_archive AS a (reservation_id, sku_id, user_id, quantity, state, amount_minor, currency,
                                          incarnation_id, created_at, expires_at, revision, extensions, finished_at,
                                          payment_reference, cancel_reason, rebooked_from, order_reference, group_id)
    SELECT g.reservation_id, g.sku_id, g.user_id, g.quantity, g.state, g.amount_minor, g.currency, g.incarnation_id,
           g.created_at, g.expires_at, g.revision, g.extensions, g.finished_at, g.payment_reference, g.cancel_reason,
           g.rebooked_from, g.order_reference, g.group_id
    FROM gone g WHERE p_archive
    -- An id that was used again after its first reservation was archived: the record of the payment must be kept.
    ON CONFLICT (reservation_id) DO UPDATE
    SET (sku_id, user_id, quantity, state, amount_minor, currency, incarnation_id, created_at, expires_at, revision,
         extensions, finished_at, payment_reference, cancel_reason, rebooked_from, order_reference, group_id, archived_at)
      = ROW (excluded.sku_id, excluded.user_id, excluded.quantity, excluded.state, excluded.amount_minor,
             excluded.currency, excluded.incarnation_id, excluded.created_at, excluded.expires_at, excluded.revision,
             excluded.extensions, excluded.finished_at, excluded.payment_reference, excluded.cancel_reason,
             excluded.rebooked_from, excluded.order_reference, excluded.group_id, now())
    WHERE a.state <> 'CONFIRMED' OR excluded.state = 'CONFIRMED'
  ), summed AS (
    INSERT INTO retired_units AS u (sku_id, incarnation_id, units, live_units, reservations)
    SELECT g.sku_id, g.incarnation_id, sum(g.quantity),
           coalesce(sum(g.quantity) FILTER (WHERE g.state = 'CONFIRMED'), 0), count(*)
    FROM gone g
    GROUP BY g.sku_id, g.incarnation_id ORDER BY g.sku_id, g.incarnation_id
    ON CONFLICT (sku_id, incarnation_id) DO UPDATE
    SET units = u.units + excluded.units, live_units = u.live_units + excluded.live_units,
        reservations = u.reservations + excluded.reservations
  )
  SELECT count(*) INTO v_retired FROM gone;
  RETURN v_retired;
END
$$;
