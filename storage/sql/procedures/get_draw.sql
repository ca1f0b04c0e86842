-- A draw of the SKU, or the newest one for 0. One row.
CREATE OR REPLACE FUNCTION tranche.get_draw(p_sku_id text, p_number bigint)
RETURNS SETOF tranche.draw_told
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT f.outcome, d.* FROM find_draw(p_sku_id, p_number) AS f LEFT JOIN draw_fields d ON d.draw_id = f.draw_id
$$;
