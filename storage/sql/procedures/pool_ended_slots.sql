-- Moves into the pool what ended incarnations hold of the SKU, whose row is locked; keeps pool_waiting exact.
CREATE OR REPLACE FUNCTION tranche.pool_ended_slots(p_sku_id text, p_version bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_units bigint;
BEGIN
  WITH ended AS (
    DELETE FROM stock_slot sl USING incarnation i
    WHERE sl.sku_id = p_sku_id AND i.incarnation_id = sl.holder AND i.reclaimed_at IS NOT NULL
    RETURNING sl.remaining
  )
  SELECT coalesce(sum(remaining), 0)::bigint INTO v_units FROM ended;
  UPDATE stock_slot SET allotted = allotted + v_units, remaining = remaining + v_units, version = p_version
  WHERE sku_id = p_sku_id AND slot_no = 0 AND v_units > 0;
  UPDATE sku SET pool_waiting = (SELECT sl.remaining > 0 FROM stock_slot sl WHERE sl.sku_id = p_sku_id AND sl.slot_no = 0)
  WHERE sku_id = p_sku_id;
END
$$;
