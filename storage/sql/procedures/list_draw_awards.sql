-- Awards of a draw by place, after this place, p_limit of them. At least one row; without a place if there are no awards.
CREATE OR REPLACE FUNCTION tranche.list_draw_awards(p_sku_id text, p_number bigint, p_after bigint, p_limit integer)
RETURNS TABLE (outcome text, place bigint, entry_id uuid, user_id text, rank text, reservation_id uuid, award text,
               awarded_us bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
  SELECT f.outcome, a.place, a.entry_id, e.user_id, encode(a.rank, 'hex'), a.reservation_id, a.outcome,
         (extract(epoch FROM a.awarded_at) * 1000000)::bigint
  FROM find_draw(p_sku_id, p_number) AS f
  LEFT JOIN LATERAL (SELECT x.* FROM draw_award x WHERE x.draw_id = f.draw_id AND x.place > p_after
                     ORDER BY x.place LIMIT p_limit) AS a ON true
  -- Each by itself: a join could read all entries.
  LEFT JOIN LATERAL (SELECT x.user_id FROM draw_entry x WHERE x.draw_id = a.draw_id AND x.entry_id = a.entry_id OFFSET 0) AS e
    ON true
  ORDER BY a.place
$$;
