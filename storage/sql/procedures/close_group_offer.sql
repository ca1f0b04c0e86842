-- Lets nobody open groups with an offer any more; those that form go on. One row: DONE with the offer as it is now; SKU_NOT_FOUND;
-- OFFER_NOT_FOUND. Closing a closed one changes and audits nothing. Error TR004 while the SKU moves to another shard. p_preview: only says
-- what would be, and locks nothing.
--
-- Locks the SKU's row, so that it does not begin to move meanwhile.
CREATE OR REPLACE FUNCTION tranche.close_group_offer(p_sku_id text, p_offer_id text, p_preview boolean, p_actor text)
RETURNS SETOF tranche.group_offer_told
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET lock_timeout = '2s'
AS $$
DECLARE
  v_now  timestamptz := clock_timestamp();
  v_told group_offer_told%ROWTYPE;
BEGIN
  IF NOT p_preview THEN
    PERFORM FROM lock_sku(p_sku_id);
  END IF;
  IF NOT EXISTS (SELECT FROM sku s WHERE s.sku_id = p_sku_id AND s.whereabouts IN ('HERE', 'LEAVING')) THEN
    v_told.outcome := 'SKU_NOT_FOUND';
    RETURN NEXT v_told;
    RETURN;
  END IF;
  SELECT 'DONE', o.* INTO v_told FROM group_offer_fields o WHERE o.sku_id = p_sku_id AND o.offer_id = p_offer_id;
  IF NOT FOUND THEN
    v_told.outcome := 'OFFER_NOT_FOUND';
  ELSIF v_told.closed_us IS NULL THEN
    IF NOT p_preview THEN
      UPDATE group_offer SET closed_at = v_now WHERE sku_id = p_sku_id AND offer_id = p_offer_id;
      INSERT INTO audit_log (actor, action, sku_id, before, after)
      VALUES (p_actor, 'close_group_offer', p_sku_id, jsonb_build_object('offer', p_offer_id, 'closed', false),
              jsonb_build_object('offer', p_offer_id, 'closed', true));
    END IF;
    v_told.closed_us := (extract(epoch FROM v_now) * 1000000)::bigint;
  ELSIF NOT p_preview THEN
    -- A repeat is the way to find out whether it was closed.
    PERFORM await_standby();
  END IF;
  RETURN NEXT v_told;
END
$$;
