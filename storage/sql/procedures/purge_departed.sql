-- Deletes up to p_limit reservations of a SKU that has gone, with the rows that belong to them, and its groups. Returns how
-- many rows were deleted; 0: nothing is left.
CREATE OR REPLACE FUNCTION tranche.purge_departed(p_sku_id text, p_limit integer)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
  v_rows   bigint;
  v_more   bigint;
  v_groups uuid[];
BEGIN
  -- It does not come back while this runs.
  PERFORM FROM sku WHERE sku_id = p_sku_id AND whereabouts = 'GONE' FOR SHARE;
  IF NOT FOUND THEN
    RETURN 0::bigint;
  END IF;
  DELETE FROM reservation WHERE reservation_id IN (
    SELECT reservation_id FROM reservation WHERE sku_id = p_sku_id AND state IN ('PENDING', 'CONFIRMED') LIMIT p_limit);
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  DELETE FROM reservation WHERE reservation_id IN (
    SELECT reservation_id FROM reservation WHERE sku_id = p_sku_id AND state IN ('CANCELLED', 'EXPIRED')
    LIMIT p_limit - v_rows);
  GET DIAGNOSTICS v_more = ROW_COUNT;
  IF v_rows + v_more > 0 THEN
    RETURN v_rows + v_more;
  END IF;
  DELETE FROM retired_units WHERE sku_id = p_sku_id;
  DELETE FROM outbox WHERE (reservation_id, revision, sink) IN (
    SELECT reservation_id, revision, sink FROM outbox WHERE sku_id = p_sku_id LIMIT p_limit);
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  DELETE FROM late_payment WHERE (reservation_id, payment_reference) IN (
    SELECT reservation_id, payment_reference FROM late_payment WHERE sku_id = p_sku_id LIMIT p_limit);
  GET DIAGNOSTICS v_more = ROW_COUNT;
  IF v_rows + v_more > 0 THEN
    RETURN v_rows + v_more;
  END IF;
  -- A group when it has no members any more.
  v_groups := ARRAY(SELECT group_id FROM group_buy WHERE sku_id = p_sku_id LIMIT greatest(1, p_limit / 10));
  DELETE FROM group_member WHERE reservation_id = ANY (ARRAY(
    SELECT reservation_id FROM group_member WHERE group_id = ANY (v_groups) LIMIT p_limit));
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  IF v_rows = p_limit THEN
    RETURN v_rows;
  END IF;
  DELETE FROM group_buy WHERE group_id = ANY (v_groups);
  GET DIAGNOSTICS v_more = ROW_COUNT;
  IF v_rows + v_more > 0 THEN
    RETURN v_rows + v_more;
  END IF;
  DELETE FROM group_offer WHERE sku_id = p_sku_id;
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  RETURN v_rows;
END
$$;
