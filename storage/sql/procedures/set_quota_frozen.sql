-- Freezes or thaws the quota of a SKU. Repeating it changes and audits nothing. False if there is no such SKU; error TR004
-- while it moves to another shard.
--
-- The version grows, so that a move that was planned before, and expects the old version, is refused: once this has
-- returned, no automatic move follows.
CREATE OR REPLACE FUNCTION tranche.set_quota_frozen(p_sku_id text, p_frozen boolean, p_actor text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_frozen boolean;
BEGIN
  SELECT quota_frozen INTO v_frozen FROM lock_sku(p_sku_id);
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  IF v_frozen = p_frozen THEN
    RETURN true;
  END IF;
  UPDATE sku SET quota_frozen = p_frozen, quota_version = quota_version + 1 WHERE sku_id = p_sku_id;
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  VALUES (p_actor, CASE WHEN p_frozen THEN 'freeze_quota' ELSE 'thaw_quota' END, p_sku_id,
          jsonb_build_object('quota_frozen', v_frozen), jsonb_build_object('quota_frozen', p_frozen));
  RETURN true;
END
$$;
