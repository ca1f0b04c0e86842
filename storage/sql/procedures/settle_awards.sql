-- Notes which of a draw's pending awards were paid, and which have lapsed. It looks at p_limit of them, and the next call goes on
-- behind these, so that a draw with many winners does not make calls long.
--
-- One that has expired counts as paid if a late payment has had it booked again: its winner has what they won. (While the draw goes on,
-- rebook_reservation does not do that.) An award that was noted as lapsed stays so, since the next in order may have its place.
--
-- A reservation that is neither here nor in the archive was dropped by retention, at least a day after it had ended. If retention has
-- removed no paid one of the SKU, it has lapsed. If it has, this may be one of them, and counts as paid: rather a place that nobody
-- gets than one that two get.
--
-- For other procedures, which have locked the draw's row. It locks nothing else that anybody wants.
CREATE OR REPLACE FUNCTION tranche.settle_awards(p_draw_id bigint, p_limit integer)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
-- A generic plan that expects many rows would read all awards of the draw.
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
  v_draw      draw%ROWTYPE;
  v_places    bigint[];
  v_next      bigint;
  v_confirmed bigint;
  v_lapsed    bigint;
BEGIN
  SELECT d.* INTO v_draw FROM draw d WHERE d.draw_id = p_draw_id;
  SELECT array_agg(a.place ORDER BY a.place) INTO v_places
  FROM (SELECT x.place FROM draw_award x
        WHERE x.draw_id = p_draw_id AND x.outcome = 'PENDING' AND x.place > v_draw.looked_to
        ORDER BY x.place LIMIT p_limit) AS a;
  v_next := CASE WHEN cardinality(v_places) = p_limit THEN v_places[p_limit] ELSE 0::bigint END;
  -- One statement, and so one snapshot: what is retired leaves the one table and comes into the other, and into the sums.
  WITH gone AS MATERIALIZED (
    SELECT CASE WHEN EXISTS (SELECT FROM retired_units u WHERE u.sku_id = v_draw.sku_id AND u.live_units > 0)
                THEN 'CONFIRMED' ELSE 'EXPIRED' END AS state
  ), known AS (
    SELECT a.place,
           CASE WHEN coalesce(r.state, x.state, 'EXPIRED') = 'EXPIRED'
                     AND EXISTS (SELECT FROM late_payment l
                                 WHERE l.reservation_id = a.reservation_id AND l.outcome = 'REBOOKED' OFFSET 0)
                THEN 'CONFIRMED'
                ELSE coalesce(r.state, x.state, gone.state)
           END AS state
    FROM gone
    CROSS JOIN unnest(v_places) AS p (place)
    JOIN draw_award a ON a.draw_id = p_draw_id AND a.place = p.place
    LEFT JOIN LATERAL (SELECT q.state FROM reservation q WHERE q.reservation_id = a.reservation_id OFFSET 0) AS r ON true
    LEFT JOIN LATERAL (SELECT q.state FROM reservation_archive q
                       WHERE r.state IS NULL AND q.reservation_id = a.reservation_id OFFSET 0) AS x ON true
  ), settled AS (
    UPDATE draw_award a SET outcome = CASE WHEN k.state = 'CONFIRMED' THEN 'CONFIRMED' ELSE 'LAPSED' END
    FROM known k
    WHERE a.draw_id = p_draw_id AND a.place = k.place AND k.state <> 'PENDING'
    RETURNING a.outcome
  )
  SELECT count(*) FILTER (WHERE s.outcome = 'CONFIRMED'), count(*) FILTER (WHERE s.outcome = 'LAPSED')
  INTO v_confirmed, v_lapsed FROM settled s;
  UPDATE draw d
  SET pending = d.pending - (v_confirmed + v_lapsed)::integer, confirmed = d.confirmed + v_confirmed::integer,
      lapsed = d.lapsed + v_lapsed::integer, looked_to = v_next
  WHERE d.draw_id = p_draw_id AND (v_confirmed + v_lapsed > 0 OR d.looked_to <> v_next);
END
$$;
