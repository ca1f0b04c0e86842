-- Inserts a page of export_reservations: each row replaces an earlier copy of itself, and any row with the same buyer's
-- ordinal. (A reservation that lost its ordinal to another has changed since it was copied, and comes again.)
CREATE OR REPLACE FUNCTION tranche.import_reservations(p_sku_id text, p_token uuid, p_page tranche.reservation[])
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
  PERFORM check_arriving(p_sku_id, p_token);
  -- Ids first: a join would be planned for a table that was empty a moment ago. OFFSET 0 keeps it a lookup per row.
  DELETE FROM reservation r
  WHERE r.sku_id = p_sku_id AND r.reservation_id = ANY (ARRAY(
    SELECT p.reservation_id FROM unnest(p_page) AS p
    UNION ALL
    SELECT same.reservation_id
    FROM unnest(p_page) AS p
    CROSS JOIN LATERAL (SELECT x.reservation_id FROM reservation x
                        WHERE x.sku_id = p_sku_id AND x.user_id = p.user_id AND x.ordinal = p.ordinal
                          AND x.state IN ('PENDING', 'CONFIRMED') OFFSET 0) AS same
    WHERE p.state IN ('PENDING', 'CONFIRMED')));
  INSERT INTO reservation SELECT p.* FROM unnest(p_page) AS p WHERE p.sku_id = p_sku_id;
END
$$;
