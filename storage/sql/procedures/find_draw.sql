-- Which draw that is: of the SKU, with this number, or the newest for 0. One row: `outcome` is DONE, SKU_NOT_FOUND or NO_DRAW, as in
-- aa_draw_row.sql.
--
-- For other procedures. Locks nothing: whoever changes the draw locks its row afterwards, and looks again whether it was removed.
CREATE OR REPLACE FUNCTION tranche.find_draw(p_sku_id text, p_number bigint)
RETURNS TABLE (outcome text, draw_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
ROWS 1
AS $$
  SELECT CASE WHEN s.sku_id IS NULL THEN 'SKU_NOT_FOUND' WHEN d.draw_id IS NULL THEN 'NO_DRAW' ELSE 'DONE' END, d.draw_id
  FROM (SELECT) AS one
  LEFT JOIN sku s ON s.sku_id = p_sku_id AND s.whereabouts IN ('HERE', 'LEAVING')
  LEFT JOIN LATERAL (SELECT x.draw_id FROM draw x
                     WHERE x.sku_id = s.sku_id AND x.removed_at IS NULL AND (p_number = 0 OR x.number = p_number)
                     ORDER BY x.number DESC LIMIT 1) AS d ON true
$$;
