-- Inserts a page of export_late_payments.
CREATE OR REPLACE FUNCTION tranche.import_late_payments(p_sku_id text, p_token uuid, p_page tranche.late_payment[])
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
BEGIN
  PERFORM check_arriving(p_sku_id, p_token);
  INSERT INTO late_payment SELECT p.* FROM unnest(p_page) AS p WHERE p.sku_id = p_sku_id ON CONFLICT DO NOTHING;
END
$$;
