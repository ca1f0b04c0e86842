-- The SKU (its row at the source) will be copied here from p_source. It has no slots here, so nothing can be sold, and
-- its reservations can neither be read nor changed. Error TR002 if the SKU is here, or if rows of an earlier stay or
-- attempt are.
CREATE OR REPLACE FUNCTION tranche.begin_arrival(p_row tranche.sku, p_source text, p_token uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_row     sku%ROWTYPE := p_row;
  v_present sku%ROWTYPE;
BEGIN
  SELECT * INTO v_present FROM sku WHERE sku_id = p_row.sku_id FOR UPDATE;
  IF v_present.whereabouts <> 'GONE' OR (SELECT leftovers FROM sku_whereabouts(p_row.sku_id)) THEN
    RAISE EXCEPTION 'SKU % is %', p_row.sku_id,
      CASE v_present.whereabouts WHEN 'GONE' THEN 'not cleared away' ELSE v_present.whereabouts END
      USING ERRCODE = 'TR002';
  END IF;
  v_row.whereabouts := 'ARRIVING';
  v_row.other_shard := p_source;
  v_row.move_token := p_token;
  v_row.pool_waiting := false;
  v_row.units_returned := false;
  DELETE FROM sku WHERE sku_id = p_row.sku_id;
  INSERT INTO sku SELECT (v_row).*;
END
$$;
