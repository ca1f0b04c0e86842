-- Inserts a page of export_outbox. A message that was being delivered there is due here.
CREATE OR REPLACE FUNCTION tranche.import_outbox(p_sku_id text, p_token uuid, p_page tranche.outbox[])
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
BEGIN
  PERFORM check_arriving(p_sku_id, p_token);
  INSERT INTO outbox SELECT m.* FROM unnest(p_page) AS m WHERE m.sku_id = p_sku_id ON CONFLICT DO NOTHING;
END
$$;
