-- Takes in a page of export_reservations: each row replaces what an earlier page brought of it, and of a buyer's ordinal.
-- (Whose ordinal another has now, has changed since it was copied, and comes again.)
CREATE OR REPLACE FUNCTION tranche.import_reservations(p_sku_id text, p_token uuid, p_page tranche.reservation[])
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
  PERFORM check_arriving(p_sku_id, p_token);
  DELETE FROM reservation r USING unnest(p_page) AS p
  WHERE r.reservation_id = p.reservation_id AND r.sku_id = p_sku_id;
  DELETE FROM reservation r USING unnest(p_page) AS p
  WHERE r.sku_id = p_sku_id AND r.user_id = p.user_id AND r.ordinal = p.ordinal AND r.state IN ('PENDING', 'CONFIRMED')
    AND p.state IN ('PENDING', 'CONFIRMED');
  INSERT INTO reservation SELECT p.* FROM unnest(p_page) AS p WHERE p.sku_id = p_sku_id;
END
$$;
