-- Gives reservations to the next entries of a draw by rank, until no place is free, or p_limit entries had their turn. Returns how many
-- it gave, how many were passed over because the buyer has their limit, and why it stopped before: CLOSED, PAUSED, NOT_OPEN, MOVING,
-- QUANTITY_ABOVE_LIMIT (nobody may have so many units: the limit was lowered), SHORT (the pool has too few units); '' if it did not.
-- With each reservation it writes the message reservation.awarded: the buyer is not there to hear an answer.
--
-- It books out of the pool, where the units of a draw wait. commit_reservations cannot: the pool has no holder, and its units are not
-- spent out of a slice, but leave what is allotted. The same holds as there, in the same order:
--   prefix        those that fit, or are passed over, are noted up to the last free place, or to the first whose units are not there;
--                 none behind it
--   conservation  what is inserted is what take_units takes from the pool, which is locked before
--   per buyer     the unique index for a limit that was always 1; otherwise the same lock per (sku, buyer). Who meets another
--                 transaction's reservation at the index has their limit
--   one price     what changes a SKU's terms, or pauses it, locks the SKU's row, and so do we
-- A buyer has one entry in a draw, so each is here once. The units of one who meets another reservation stay in the pool until the
-- next call. The reservations' incarnation is 0, as for those of rebook_reservation: no node's slice has paid for them.
--
-- For award_draw, which has locked the draw's row and says why its locks close no cycle.
CREATE OR REPLACE FUNCTION tranche.book_awards(p_draw_id bigint, p_limit integer, OUT awarded integer, OUT passed_over integer,
                                               OUT waits_for text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
DECLARE
  -- How many more entries are looked at than places are free, since some may be passed over. Each costs a look, and perhaps a lock.
  c_ahead   constant integer := 100;
  v_draw    draw%ROWTYPE;
  v_sku     sku%ROWTYPE;
  v_entries uuid[];
  v_ranks   bytea[];
  v_users   text[];
  v_last    bigint;
  v_open    integer;
  v_due     integer;
  v_pool    bigint;
  v_units   bigint;
  v_now     timestamptz;
BEGIN
  awarded := 0;
  passed_over := 0;
  waits_for := '';
  SELECT d.* INTO v_draw FROM draw d WHERE d.draw_id = p_draw_id;
  v_open := v_draw.winners - v_draw.pending - v_draw.confirmed;
  SELECT array_agg(n.entry_id ORDER BY n.rank), array_agg(n.rank ORDER BY n.rank), array_agg(e.user_id::text ORDER BY n.rank)
  INTO v_entries, v_ranks, v_users
  FROM (SELECT r.entry_id, r.rank FROM draw_rank r
        WHERE r.draw_id = p_draw_id AND r.rank > coalesce(v_draw.cutoff, ''::bytea)
        ORDER BY r.rank LIMIT least(p_limit, v_open + c_ahead)) AS n
  -- Each by itself, as below: a join could read all entries.
  CROSS JOIN LATERAL (SELECT x.user_id FROM draw_entry x WHERE x.draw_id = p_draw_id AND x.entry_id = n.entry_id OFFSET 0) AS e;
  IF v_entries IS NULL THEN
    RETURN;
  END IF;

  SELECT s.* INTO v_sku FROM sku s WHERE s.sku_id = v_draw.sku_id FOR UPDATE;
  SELECT sl.remaining INTO v_pool FROM stock_slot sl WHERE sl.sku_id = v_draw.sku_id AND sl.slot_no = 0 FOR UPDATE;
  v_now := clock_timestamp();
  waits_for := CASE WHEN v_sku.whereabouts IS DISTINCT FROM 'HERE' THEN 'MOVING'
                    WHEN v_sku.state <> 'OPEN' OR v_now >= v_sku.closes_at THEN 'CLOSED'
                    WHEN v_sku.paused THEN 'PAUSED'
                    WHEN v_now < v_sku.opens_at THEN 'NOT_OPEN'
                    WHEN v_draw.quantity > v_sku.per_user_limit THEN 'QUANTITY_ABOVE_LIMIT'
                    ELSE '' END;
  IF waits_for <> '' THEN
    RETURN;
  END IF;
  IF coalesce(v_sku.highest_limit, v_sku.per_user_limit) > 1 THEN
    PERFORM pg_advisory_xact_lock(b.key)
    FROM (SELECT DISTINCT hashtextextended(u, hashtextextended(v_sku.sku_id, 0)) AS key FROM unnest(v_users) AS u
          ORDER BY key) AS b;
  END IF;

  -- A statement of its own: it sees what others booked before they released these locks.
  v_last := (v_draw.pending + v_draw.confirmed + v_draw.lapsed)::bigint;
  WITH candidates AS (
    SELECT n.entry_id, n.rank, n.user_id, n.nth, live.ordinals, live.units + v_draw.quantity <= v_sku.per_user_limit AS fits
    FROM unnest(v_entries, v_ranks, v_users) WITH ORDINALITY AS n (entry_id, rank, user_id, nth)
    CROSS JOIN LATERAL (SELECT coalesce(sum(r.quantity), 0) AS units, coalesce(array_agg(r.ordinal), '{}') AS ordinals
                        FROM reservation r
                        WHERE r.sku_id = v_sku.sku_id AND r.user_id = n.user_id AND r.state IN ('PENDING', 'CONFIRMED')) AS live
  ), due AS MATERIALIZED (
    -- Up to the last free place.
    SELECT x.*
    FROM (SELECT c.*, count(*) FILTER (WHERE c.fits) OVER (ORDER BY c.nth) AS places FROM candidates c) AS x
    WHERE x.places - x.fits::integer < v_open
  ), noted AS MATERIALIZED (
    SELECT d.entry_id, d.rank, d.user_id, d.nth, d.ordinals, CASE WHEN d.fits THEN gen_random_uuid() END AS reservation_id
    -- `places` grows only with those that fit: so above what the pool has are the first that has no units, and all behind it.
    FROM due d WHERE d.places * v_draw.quantity <= v_pool
  ), booked AS (
    INSERT INTO reservation AS r (reservation_id, sku_id, user_id, quantity, ordinal, amount_minor, currency, incarnation_id,
                                  created_at, expires_at)
    SELECT n.reservation_id, v_sku.sku_id, n.user_id, v_draw.quantity,
           (SELECT min(g) FROM generate_series(1, v_sku.per_user_limit) AS g WHERE g <> ALL (n.ordinals)),
           v_sku.price_minor * v_draw.quantity, v_sku.currency, 0, v_now, v_now + make_interval(secs => v_sku.hold_seconds)
    FROM noted n WHERE n.reservation_id IS NOT NULL
    ORDER BY n.user_id COLLATE "C"
    ON CONFLICT DO NOTHING
    RETURNING r.reservation_id
  ), awards AS (
    INSERT INTO draw_award AS a (draw_id, place, entry_id, rank, reservation_id, outcome, awarded_at)
    SELECT p_draw_id, v_last + n.nth, n.entry_id, n.rank, b.reservation_id,
           CASE WHEN b.reservation_id IS NULL THEN 'PASSED_OVER' ELSE 'PENDING' END, v_now
    FROM noted n LEFT JOIN booked b ON b.reservation_id = n.reservation_id
    RETURNING a.outcome
  )
  SELECT count(*) FILTER (WHERE x.outcome = 'PENDING')::integer, count(*) FILTER (WHERE x.outcome = 'PASSED_OVER')::integer,
         (SELECT count(*) FROM due)::integer
  INTO awarded, passed_over, v_due FROM awards x;

  v_units := awarded::bigint * v_draw.quantity;
  IF v_units > 0 THEN
    IF take_units(v_sku.sku_id, v_units, ARRAY[0]) <> v_units THEN
      RAISE EXCEPTION 'the pool of % has changed while it was locked', v_sku.sku_id USING ERRCODE = 'internal_error';
    END IF;
    -- It must be announced again when the pool is empty: perhaps it is sold out.
    UPDATE sku SET units_returned = true WHERE sku_id = v_sku.sku_id AND NOT pool_waiting;
  END IF;
  IF awarded + passed_over < v_due THEN
    waits_for := 'SHORT';
  END IF;
  PERFORM write_outbox('reservation.awarded', ARRAY[r.booked], v_now,
                       jsonb_build_object('draw_number', v_draw.number, 'entry_id', a.entry_id))
  FROM draw_award a
  CROSS JOIN LATERAL (SELECT q AS booked FROM reservation q WHERE q.reservation_id = a.reservation_id OFFSET 0) AS r
  WHERE a.draw_id = p_draw_id AND a.place > v_last AND a.outcome = 'PENDING'
  ORDER BY a.place;
  UPDATE draw d
  SET pending = d.pending + awarded, lapsed = d.lapsed + passed_over, cutoff = v_ranks[awarded + passed_over]
  WHERE d.draw_id = p_draw_id AND awarded + passed_over > 0;
END
$$;
