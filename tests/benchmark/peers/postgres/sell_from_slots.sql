-- Sells one unit: CREATED, REPLAYED, USER_LIMIT or SOLD_OUT. A buyer begins at the slot that their name falls on, so
-- that buyers rarely wait for each other, and goes on to the next slots that have units. The slot is locked last and
-- for least time.
CREATE FUNCTION peers.sell_from_slots(p_order uuid, p_sku text, p_user text)
RETURNS text
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  v_first integer := hashtext(p_user) & 15;
  v_slot  integer;
BEGIN
  IF EXISTS (SELECT FROM peers.orders WHERE order_id = p_order) THEN RETURN 'REPLAYED'; END IF;
  IF EXISTS (SELECT FROM peers.orders WHERE sku_id = p_sku AND user_id = p_user) THEN RETURN 'USER_LIMIT'; END IF;
  IF NOT EXISTS (SELECT FROM peers.slot WHERE sku_id = p_sku AND units_left >= 1) THEN RETURN 'SOLD_OUT'; END IF;

  INSERT INTO peers.orders (order_id, sku_id, user_id, quantity) VALUES (p_order, p_sku, p_user, 1)
  ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    -- Another call has inserted it since; this statement sees it.
    IF EXISTS (SELECT FROM peers.orders WHERE order_id = p_order) THEN RETURN 'REPLAYED'; END IF;
    RETURN 'USER_LIMIT';
  END IF;

  -- Ends: an update that finds no unit has waited for the call that took the slot's last one, and the next statement
  -- sees that.
  LOOP
    SELECT slot_no INTO v_slot FROM peers.slot
    WHERE sku_id = p_sku AND units_left >= 1
    ORDER BY (slot_no - v_first + 16) % 16
    LIMIT 1;
    IF NOT FOUND THEN
      DELETE FROM peers.orders WHERE order_id = p_order;
      RETURN 'SOLD_OUT';
    END IF;
    UPDATE peers.slot SET units_left = units_left - 1
    WHERE sku_id = p_sku AND slot_no = v_slot AND units_left >= 1;
    IF FOUND THEN RETURN 'CREATED'; END IF;
  END LOOP;
END
$$;
