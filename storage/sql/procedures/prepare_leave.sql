-- Begins a move: the SKU's reservations may be copied from now on, while it sells. The token names the attempt; an
-- earlier one is over. Returns the SKU's row, for begin_arrival, and the transaction from which on a copy that begins
-- now must later fetch changes. Error TR002 if the SKU is not here, or has a draw: those do not move.
--
-- Retention does not touch a SKU with a token: comparing changes would not notice a row that vanishes.
CREATE OR REPLACE FUNCTION tranche.prepare_leave(p_sku_id text, p_token uuid)
RETURNS TABLE (sku_row text, since text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET datestyle = 'ISO, YMD'
SET timezone = 'UTC'
SET lock_timeout = '2s'
AS $$
BEGIN
  -- Waits for a retirement that is under way.
  PERFORM pin_skus(ARRAY[p_sku_id], true);
  UPDATE sku SET move_token = p_token WHERE sku_id = p_sku_id AND whereabouts = 'HERE';
  IF NOT FOUND THEN
    RAISE EXCEPTION 'SKU % is not here', p_sku_id USING ERRCODE = 'TR002';
  END IF;
  -- With its row locked: nobody creates one meanwhile.
  IF EXISTS (SELECT FROM draw d WHERE d.sku_id = p_sku_id AND d.removed_at IS NULL) THEN
    RAISE EXCEPTION 'SKU % has a draw, and a SKU with a draw does not move: remove it first (tranchectl draw remove)', p_sku_id
      USING ERRCODE = 'TR002';
  END IF;
  RETURN QUERY
  SELECT s::text, pg_snapshot_xmin(pg_current_snapshot())::xid::text FROM sku s WHERE s.sku_id = p_sku_id;
END
$$;
