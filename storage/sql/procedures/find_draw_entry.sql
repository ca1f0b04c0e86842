-- A buyer's entry in a draw of the SKU, or in the newest one for 0, and its award. One row.
CREATE OR REPLACE FUNCTION tranche.find_draw_entry(p_sku_id text, p_number bigint, p_user_id text)
RETURNS SETOF tranche.draw_entry_told
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
  SELECT CASE WHEN f.outcome = 'DONE' AND e.entry_id IS NULL THEN 'NO_ENTRY' ELSE f.outcome END, d.*, e.entry_id, a.place,
         encode(a.rank, 'hex'), a.reservation_id, a.outcome, (extract(epoch FROM a.awarded_at) * 1000000)::bigint
  FROM find_draw(p_sku_id, p_number) AS f
  LEFT JOIN draw_fields d ON d.draw_id = f.draw_id
  LEFT JOIN LATERAL (SELECT x.draw_id, x.entry_id FROM draw_entry x
                     WHERE x.draw_id = f.draw_id AND x.user_id = p_user_id OFFSET 0) AS e ON true
  LEFT JOIN LATERAL (SELECT x.* FROM draw_award x WHERE x.draw_id = e.draw_id AND x.entry_id = e.entry_id OFFSET 0) AS a ON true
$$;
