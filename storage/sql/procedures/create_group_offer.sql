-- Offers groups of a SKU (docs/groups.md). One row:
--   DONE             with the offer as it is now. If one of this name was there with the same values, even if it is closed, nothing changes
--                    and is audited
--   SKU_NOT_FOUND
--   OFFER_EXISTS     with the one of this name, which has other values
--   TOO_MANY_OFFERS  it has c_most
-- Error TR004 while the SKU moves to another shard. p_preview: only says what would be, and locks nothing.
--
-- Locks the SKU's row, so that offers are counted, and do not begin to move, one after the other.
CREATE OR REPLACE FUNCTION tranche.create_group_offer(
  p_sku_id text, p_offer_id text, p_seats integer, p_price_minor bigint, p_open_seconds integer, p_pay_seconds integer,
  p_on_timeout text, p_min_members integer, p_preview boolean, p_actor text
)
RETURNS SETOF tranche.group_offer_told
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET lock_timeout = '2s'
AS $$
DECLARE
  -- kMostOffers in storage/ledger/group_ledger.h.
  c_most constant bigint := 100::bigint;
  v_now  timestamptz := clock_timestamp();
  v_told group_offer_told%ROWTYPE;
BEGIN
  -- The table says the same; but a preview writes nothing there.
  IF NOT (p_offer_id ~ '^[A-Za-z0-9._-]{1,64}$' AND p_seats BETWEEN 2 AND 100 AND p_price_minor BETWEEN 0 AND 1000000000000
          AND p_open_seconds BETWEEN 1 AND 604800 AND p_pay_seconds BETWEEN 1 AND 604800
          AND p_on_timeout IN ('REFUND', 'PARTIAL') AND p_min_members BETWEEN 1 AND p_seats) THEN
    RAISE EXCEPTION 'there can be no such offer' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF NOT p_preview THEN
    PERFORM FROM lock_sku(p_sku_id);
  END IF;
  IF NOT EXISTS (SELECT FROM sku s WHERE s.sku_id = p_sku_id AND s.whereabouts IN ('HERE', 'LEAVING')) THEN
    v_told.outcome := 'SKU_NOT_FOUND';
    RETURN NEXT v_told;
    RETURN;
  END IF;
  SELECT 'DONE', o.* INTO v_told FROM group_offer_fields o WHERE o.sku_id = p_sku_id AND o.offer_id = p_offer_id;
  IF FOUND THEN
    IF (v_told.seats, v_told.price_minor, v_told.open_seconds, v_told.pay_seconds, v_told.on_timeout, v_told.min_members)
       <> (p_seats, p_price_minor, p_open_seconds, p_pay_seconds, p_on_timeout, p_min_members) THEN
      v_told.outcome := 'OFFER_EXISTS';
    ELSIF NOT p_preview THEN
      -- A repeat is the way to find out whether it was created.
      PERFORM await_standby();
    END IF;
  ELSIF (SELECT count(*) FROM group_offer o WHERE o.sku_id = p_sku_id) >= c_most THEN
    v_told.outcome := 'TOO_MANY_OFFERS';
  ELSE
    IF NOT p_preview THEN
      INSERT INTO group_offer (sku_id, offer_id, seats, price_minor, open_seconds, pay_seconds, on_timeout, min_members, created_at)
      VALUES (p_sku_id, p_offer_id, p_seats, p_price_minor, p_open_seconds, p_pay_seconds, p_on_timeout, p_min_members, v_now);
      INSERT INTO audit_log (actor, action, sku_id, before, after)
      VALUES (p_actor, 'create_group_offer', p_sku_id, '{}',
              jsonb_build_object('offer', p_offer_id, 'seats', p_seats, 'price_minor', p_price_minor, 'open_seconds', p_open_seconds,
                                 'pay_seconds', p_pay_seconds, 'on_timeout', p_on_timeout, 'min_members', p_min_members));
    END IF;
    SELECT 'DONE', p_sku_id, p_offer_id, p_seats, p_price_minor, s.currency, p_open_seconds, p_pay_seconds, p_on_timeout, p_min_members,
           (extract(epoch FROM v_now) * 1000000)::bigint, NULL::bigint
    INTO v_told FROM sku s WHERE s.sku_id = p_sku_id;
  END IF;
  RETURN NEXT v_told;
END
$$;
