-- Entry ids of a draw in the order of their bytes, after this one (NULL: from the first), p_limit of them: 32 hexadecimal digits each,
-- one after the other. One row. STATE while entries are still taken, or if it was cancelled while they were.
CREATE OR REPLACE FUNCTION tranche.list_draw_entries(p_sku_id text, p_number bigint, p_after uuid, p_limit integer)
RETURNS TABLE (outcome text, number bigint, state text, entry_ids text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
-- Only an index scan in order: without statistics PostgreSQL would read and sort all that follow.
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
  SELECT CASE WHEN f.outcome = 'DONE' AND d.closed_at IS NULL THEN 'STATE' ELSE f.outcome END, d.number, d.state, page.ids
  FROM find_draw(p_sku_id, p_number) AS f
  LEFT JOIN draw d ON d.draw_id = f.draw_id
  LEFT JOIN LATERAL (
    SELECT encode(string_agg(uuid_send(e.entry_id), ''::bytea ORDER BY e.entry_id), 'hex') AS ids
    FROM (SELECT x.entry_id FROM draw_entry x
          WHERE x.draw_id = d.draw_id AND x.entry_id > coalesce(p_after, '00000000-0000-0000-0000-000000000000'::uuid)
          ORDER BY x.entry_id LIMIT p_limit) AS e) AS page ON d.closed_at IS NOT NULL
$$;
