-- Enters a batch of buyers into the open draws of SKUs, in one transaction. Set-based: a constant number of statements however long
-- the batch. (SKU, buyer) must be distinct. p_wait is true to wait for locks; NULL to wait for none, except what an insert waits for.
--
-- Returns one row per buyer with its position `idx` (from 1) and its outcome:
--   ENTERED        with the draw's number and the entry's id. `replayed`: the buyer had entered the newest draw before, whatever has
--                  become of that since
--   NO_OPEN_DRAW   with the `state` of the newest draw, if there is one
--   FULL           the draw has as many entries as one may have
--   SKU_NOT_FOUND  the SKU is not on this shard
--   MOVING         it is on its way to another one
--   BUSY           only without p_wait: the draw is being closed, and nothing was decided
-- Rows come in no order.
--
-- Why it is safe:
--   once per buyer    the unique index draw_entry_user; who meets another transaction's row is answered by the last statement, whose
--                     snapshot is newer than that row
--   none after close  the draws are pinned before their state is read, and a close pins them exclusively
--   not too many      the entries that are there are counted before others are added. Transactions under way do not see each other, so
--                     a draw may have as many more as there are in the batches that are under way: at most 1,024 for each
--   moving SKUs       a SKU that has a draw does not move
--
-- Locks: pins of the draws; the buyers' entries in (draw, buyer) order; a row of draw_tally for each draw, ascending. Nobody waits for
-- an entry or a tally who has something that we want: others who lock them come the same way.
CREATE OR REPLACE FUNCTION tranche.enter_draws(p_wait boolean, p_skus text[], p_users text[])
RETURNS TABLE (idx integer, outcome text, draw_number bigint, entry_id uuid, replayed boolean, state text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
-- As commit_reservations: a plan made while draw_entry was empty would scan it whole later.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
  c_most    constant bigint := 10000000::bigint;
  v_pinned  bigint[];
  v_open    bigint[];
  v_full    bigint[];
  v_idx     integer[];
  v_numbers bigint[];
  v_ids     uuid[];
BEGIN
  SELECT array_agg(d.draw_id) INTO v_pinned FROM draw d
  WHERE d.sku_id = ANY (p_skus) AND d.finished_at IS NULL AND d.state = 'OPEN';
  v_pinned := pin_draws(v_pinned, false, p_wait IS TRUE);
  SELECT array_agg(d.draw_id) FILTER (WHERE n.entries < c_most), array_agg(d.draw_id) FILTER (WHERE n.entries >= c_most)
  INTO v_open, v_full
  FROM draw d
  JOIN sku s ON s.sku_id = d.sku_id AND s.whereabouts = 'HERE'
  CROSS JOIN LATERAL (SELECT coalesce(sum(t.entries), 0)::bigint AS entries FROM draw_tally t WHERE t.draw_id = d.draw_id) AS n
  WHERE d.draw_id = ANY (v_pinned) AND d.state = 'OPEN';

  IF v_open IS NOT NULL THEN
    WITH wanted AS MATERIALIZED (
      SELECT c.idx::integer AS idx, d.draw_id, d.number, c.user_id, gen_random_uuid() AS entry_id
      FROM unnest(p_skus, p_users) WITH ORDINALITY AS c (sku_id, user_id, idx)
      JOIN draw d ON d.sku_id = c.sku_id AND d.draw_id = ANY (v_open)
    ), made AS (
      INSERT INTO draw_entry AS e (draw_id, entry_id, user_id)
      SELECT w.draw_id, w.entry_id, w.user_id FROM wanted w ORDER BY w.draw_id, w.user_id COLLATE "C"
      ON CONFLICT ON CONSTRAINT draw_entry_user DO NOTHING
      RETURNING e.draw_id, e.entry_id
    ), tallied AS (
      INSERT INTO draw_tally AS t (draw_id, part, entries)
      SELECT m.draw_id, pg_backend_pid() & 63, count(*) FROM made m GROUP BY m.draw_id ORDER BY m.draw_id
      ON CONFLICT ON CONSTRAINT draw_tally_pkey DO UPDATE SET entries = t.entries + excluded.entries
    )
    SELECT array_agg(w.idx), array_agg(w.number), array_agg(w.entry_id) INTO v_idx, v_numbers, v_ids
    FROM made m JOIN wanted w ON w.entry_id = m.entry_id;
  END IF;

  RETURN QUERY
  SELECT m.idx, 'ENTERED', m.number, m.entry_id, false, NULL::text
  FROM unnest(v_idx, v_numbers, v_ids) AS m (idx, number, entry_id);
  IF cardinality(v_idx) = cardinality(p_skus) THEN
    RETURN;
  END IF;
  -- A repeat is the way to find out whether one has entered. Whoever has added an entry waits for the standby anyway.
  IF v_idx IS NULL AND EXISTS (
       SELECT FROM unnest(p_skus, p_users) AS c (sku_id, user_id)
       JOIN draw d ON d.sku_id = c.sku_id AND d.removed_at IS NULL
       CROSS JOIN LATERAL (SELECT FROM draw_entry e WHERE e.draw_id = d.draw_id AND e.user_id = c.user_id OFFSET 0) AS there) THEN
    PERFORM await_standby();
  END IF;
  RETURN QUERY
  WITH places AS MATERIALIZED (
    SELECT w.sku_id, s.whereabouts, d.draw_id, d.number, d.state
    FROM (SELECT DISTINCT x COLLATE "C" AS sku_id FROM unnest(p_skus) AS x) AS w
    LEFT JOIN sku s ON s.sku_id = w.sku_id
    LEFT JOIN LATERAL (SELECT x.draw_id, x.number, x.state FROM draw x
                       WHERE x.sku_id = w.sku_id AND x.removed_at IS NULL
                       ORDER BY x.number DESC LIMIT 1) AS d ON s.whereabouts = 'HERE'
  )
  SELECT c.idx::integer, o.outcome, CASE WHEN o.outcome = 'ENTERED' THEN p.number END, e.entry_id, e.entry_id IS NOT NULL,
         CASE WHEN o.outcome = 'NO_OPEN_DRAW' THEN p.state END
  FROM unnest(p_skus, p_users) WITH ORDINALITY AS c (sku_id, user_id, idx)
  JOIN places p ON p.sku_id = c.sku_id
  -- Each by itself: a join could read all entries.
  LEFT JOIN LATERAL (SELECT x.entry_id FROM draw_entry x
                     WHERE x.draw_id = p.draw_id AND x.user_id = c.user_id OFFSET 0) AS e ON true
  CROSS JOIN LATERAL (
    SELECT CASE WHEN p.whereabouts = 'LEAVING' THEN 'MOVING'
                WHEN p.whereabouts IS DISTINCT FROM 'HERE' THEN 'SKU_NOT_FOUND'
                WHEN e.entry_id IS NOT NULL THEN 'ENTERED'
                WHEN p.state IS DISTINCT FROM 'OPEN' THEN 'NO_OPEN_DRAW'
                WHEN p.draw_id = ANY (v_full) THEN 'FULL'
                -- Without p_wait; or it was opened since we looked.
                WHEN p_wait IS NOT TRUE THEN 'BUSY'
                ELSE 'NO_OPEN_DRAW'
           END) AS o (outcome)
  WHERE v_idx IS NULL OR c.idx::integer <> ALL (v_idx);
END
$$;
