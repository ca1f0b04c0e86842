-- Locks slots of a SKU that together have p_units unsold units, in the order of their numbers: only the pool if that
-- has enough, otherwise the pool and as many of the fullest as are needed, so that the other sales go on. Returns
-- which; NULL if there are too few units. That is decided without a lock if possible.
--
-- For other procedures, which have locked the SKU's row. take_units takes from the locked slots.
CREATE OR REPLACE FUNCTION tranche.lock_units(p_sku_id text, p_units bigint)
RETURNS integer[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  v_slots integer[];
  v_units bigint;
BEGIN
  SELECT array_agg(f.slot_no), sum(f.remaining)::bigint INTO v_slots, v_units
  FROM (SELECT sl.slot_no, sl.remaining,
               sum(sl.remaining) OVER (ORDER BY sl.slot_no > 0, sl.remaining DESC, sl.slot_no) - sl.remaining AS before
        FROM stock_slot sl WHERE sl.sku_id = p_sku_id) AS f
  WHERE f.before < p_units AND f.remaining > 0;
  IF coalesce(v_units, 0) < p_units THEN
    RETURN NULL;
  END IF;

  -- The block releases the locks: all slots can only be locked in order from the first one.
  BEGIN
    PERFORM FROM stock_slot WHERE sku_id = p_sku_id AND slot_no = ANY (v_slots) ORDER BY slot_no FOR UPDATE;
    IF (SELECT sum(remaining) FROM stock_slot WHERE sku_id = p_sku_id AND slot_no = ANY (v_slots)) >= p_units THEN
      RETURN v_slots;
    END IF;
    RAISE EXCEPTION 'sold meanwhile' USING ERRCODE = 'TR006';
  EXCEPTION WHEN SQLSTATE 'TR006' THEN
    NULL;
  END;

  PERFORM FROM stock_slot WHERE sku_id = p_sku_id ORDER BY slot_no FOR UPDATE;
  SELECT array_agg(slot_no), sum(remaining)::bigint INTO v_slots, v_units FROM stock_slot WHERE sku_id = p_sku_id;
  RETURN CASE WHEN v_units >= p_units THEN v_slots END;
END
$$;
