-- Notes which of a draw's pending awards were paid, and which have lapsed. It looks at p_limit of them, and the next call goes on
-- behind these, so that a draw with many winners does not make calls long.
--
-- A reservation that is neither here nor in the archive was dropped by retention, at least a day after it had ended. That drops paid
-- ones only of a SKU whose sale is over (retire_reservations). So while the sale goes on, it has lapsed. When it is over, it may have
-- been paid, and counts as paid: nobody else can win then.
--
-- For other procedures, which have locked the draw's row. It locks nothing else that anybody wants.
CREATE OR REPLACE FUNCTION tranche.settle_awards(p_draw_id bigint, p_limit integer)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
DECLARE
  v_draw      draw%ROWTYPE;
  v_over      boolean;
  v_places    bigint[];
  v_next      bigint;
  v_confirmed bigint;
  v_lapsed    bigint;
BEGIN
  SELECT d.* INTO v_draw FROM draw d WHERE d.draw_id = p_draw_id;
  v_over := EXISTS (SELECT FROM sku s WHERE s.sku_id = v_draw.sku_id AND (s.state = 'CLOSED' OR s.closes_at <= now()));
  SELECT array_agg(a.place ORDER BY a.place) INTO v_places
  FROM (SELECT x.place FROM draw_award x
        WHERE x.draw_id = p_draw_id AND x.outcome = 'PENDING' AND x.place > v_draw.looked_to
        ORDER BY x.place LIMIT p_limit) AS a;
  v_next := CASE WHEN cardinality(v_places) = p_limit THEN v_places[p_limit] ELSE 0::bigint END;
  -- One statement, and so one snapshot: what is retired leaves the one table and comes into the other.
  WITH known AS (
    SELECT a.place, coalesce(r.state, x.state, CASE WHEN v_over THEN 'CONFIRMED' ELSE 'EXPIRED' END) AS state
    FROM unnest(v_places) AS p (place)
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
