-- Takes up to p_units unsold units out of a SKU's slots: from the pool, then from the fullest. Returns how many. The
-- slots that change, and the SKU, get the next version of the SKU.
--
-- For other procedures, which have locked the SKU's row and then its slots, in the order of their numbers: all of them,
-- or only p_slots, and then it takes from no other.
CREATE OR REPLACE FUNCTION tranche.take_units(p_sku_id text, p_units bigint, p_slots integer[] DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_version bigint := (SELECT quota_version + 1 FROM sku WHERE sku_id = p_sku_id);
  v_taken   bigint;
BEGIN
  WITH ranked AS (
    SELECT slot_no, remaining,
           sum(remaining) OVER (ORDER BY slot_no > 0, remaining DESC, slot_no)::bigint - remaining AS before
    FROM stock_slot WHERE sku_id = p_sku_id AND (p_slots IS NULL OR slot_no = ANY (p_slots))
  ), taken AS (
    UPDATE stock_slot sl
    SET allotted = sl.allotted - t.units, remaining = sl.remaining - t.units, version = v_version
    FROM (SELECT slot_no, least(remaining, p_units - before) AS units FROM ranked WHERE before < p_units) AS t
    WHERE sl.sku_id = p_sku_id AND sl.slot_no = t.slot_no AND t.units > 0
    RETURNING t.units
  )
  SELECT coalesce(sum(units), 0)::bigint INTO v_taken FROM taken;
  UPDATE sku
  SET quota_version = v_version,
      pool_waiting = (SELECT sl.remaining > 0 FROM stock_slot sl WHERE sl.sku_id = p_sku_id AND sl.slot_no = 0)
  WHERE sku_id = p_sku_id;
  RETURN v_taken;
END
$$;
