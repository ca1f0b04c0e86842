-- Creates a SKU with all its stock in the pool, on sale or paused; p_pause_reason as for set_sku_paused. False if the id is
-- taken.
CREATE OR REPLACE FUNCTION tranche.create_sku(
  p_sku_id text, p_title text, p_price_minor bigint, p_currency text, p_stock bigint, p_per_user_limit integer,
  p_hold_seconds integer, p_opens_us bigint, p_closes_us bigint, p_slots_per_slice integer, p_actor text,
  p_presplit boolean DEFAULT true, p_max_extensions integer DEFAULT 3, p_max_hold_seconds integer DEFAULT NULL,
  p_paused boolean DEFAULT false, p_pause_reason text DEFAULT '', p_claim_path text DEFAULT 'DIRECT'
)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
BEGIN
  INSERT INTO sku (sku_id, title, price_minor, currency, stock, per_user_limit, hold_seconds, opens_at, closes_at,
                   slots_per_slice, presplit, pool_waiting, max_extensions, max_hold_seconds, paused, pause_reason, claim_path)
  VALUES (p_sku_id, p_title, p_price_minor, p_currency, p_stock, p_per_user_limit, p_hold_seconds,
          coalesce(to_timestamp(p_opens_us / 1000000.0), '-infinity'),
          coalesce(to_timestamp(p_closes_us / 1000000.0), 'infinity'), p_slots_per_slice, p_presplit,
          p_stock > 0, p_max_extensions, p_max_hold_seconds, p_paused,
          CASE WHEN p_paused THEN nullif(p_pause_reason, '') END, p_claim_path)
  ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  INSERT INTO stock_slot (sku_id, slot_no, holder, allotted, remaining, version)
  VALUES (p_sku_id, 0, NULL, p_stock, p_stock, 1);
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  VALUES (p_actor, 'create_sku', p_sku_id, '{}',
          jsonb_build_object('stock', p_stock, 'price_minor', p_price_minor, 'presplit', p_presplit)
            || CASE WHEN p_paused
                    THEN jsonb_build_object('paused', true, 'pause_reason', nullif(p_pause_reason, ''))
                    ELSE '{}'::jsonb END
            || CASE WHEN p_claim_path <> 'DIRECT' THEN jsonb_build_object('claim_path', p_claim_path) ELSE '{}'::jsonb END);
  RETURN true;
END
$$;
