-- The chunks of a draw's list that were computed so far, by number. At least one row; without a chunk if there are none.
CREATE OR REPLACE FUNCTION tranche.read_draw_chunks(p_sku_id text, p_number bigint)
RETURNS TABLE (outcome text, chunk_no bigint, first_id uuid, last_id uuid, entries integer, hash text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT f.outcome, c.chunk_no, c.first_id, c.last_id, c.entries, encode(c.hash, 'hex')
  FROM find_draw(p_sku_id, p_number) AS f
  LEFT JOIN draw_chunk c ON c.draw_id = f.draw_id
  ORDER BY c.chunk_no
$$;
