-- Keeps the SKU arriving by this attempt until the transaction ends; error TR002 if it is not.
CREATE OR REPLACE FUNCTION tranche.check_arriving(p_sku_id text, p_token uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
BEGIN
  PERFORM FROM sku WHERE sku_id = p_sku_id AND whereabouts = 'ARRIVING' AND move_token = p_token FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'SKU % is not arriving by this attempt', p_sku_id USING ERRCODE = 'TR002';
  END IF;
END
$$;
