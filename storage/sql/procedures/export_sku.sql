-- Everything of a leaving SKU except its reservations and the rows that belong to them, as literals of the tables' rows
-- for finish_arrival, and the totals of its reservations. No row if it is not leaving by this attempt.
CREATE OR REPLACE FUNCTION tranche.export_sku(p_sku_id text, p_token uuid)
RETURNS TABLE (sku_row text, slots text, incarnations text, retired text, totals text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET datestyle = 'ISO, YMD'
SET timezone = 'UTC'
AS $$
BEGIN
  RETURN QUERY
  SELECT s::text,
         (SELECT array_agg(sl ORDER BY sl.slot_no)::text FROM stock_slot sl WHERE sl.sku_id = p_sku_id),
         coalesce((SELECT array_agg(i)::text FROM incarnation i
                   WHERE i.incarnation_id IN (SELECT sl.holder FROM stock_slot sl WHERE sl.sku_id = p_sku_id)), '{}'),
         coalesce((SELECT array_agg(r)::text FROM retired_units r WHERE r.sku_id = p_sku_id), '{}'),
         sku_totals(p_sku_id)
  FROM sku s WHERE s.sku_id = p_sku_id AND s.whereabouts = 'LEAVING' AND s.move_token = p_token;
END
$$;
