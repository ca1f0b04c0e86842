-- Raises the SKU's quota version above p_above, and above what it is, and stamps all its slots with it, so that they are
-- announced anew. Units stay where they are. Nodes obey the highest version that was announced to them; so whoever finds
-- an announcement that this ledger cannot have made calls this with the announcement's version.
--
-- False if there is no such SKU; error TR004 while it moves to another shard. What would use up the versions that later
-- moves need is refused (MayRaise in storage/ledger/quota_ledger.h).
CREATE OR REPLACE FUNCTION tranche.raise_version(p_sku_id text, p_above bigint, p_actor text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_before  bigint;
  v_version bigint;
BEGIN
  SELECT quota_version INTO v_before FROM lock_sku(p_sku_id);
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  IF p_above > (1::bigint << 61) AND p_above - v_before > (1::bigint << 40) THEN
    RAISE EXCEPTION 'version % of % is not raised as far as %', v_before, p_sku_id, p_above
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  v_version := greatest(v_before, p_above) + 1;
  UPDATE sku SET quota_version = v_version WHERE sku_id = p_sku_id;
  PERFORM FROM stock_slot WHERE sku_id = p_sku_id ORDER BY slot_no FOR UPDATE;
  UPDATE stock_slot SET version = v_version WHERE sku_id = p_sku_id;
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  VALUES (p_actor, 'raise_version', p_sku_id, jsonb_build_object('quota_version', v_before),
          jsonb_build_object('quota_version', v_version));
  RETURN true;
END
$$;
