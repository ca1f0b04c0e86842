SET client_min_messages = warning;
DROP SCHEMA IF EXISTS rabbitmq_peer CASCADE;
CREATE SCHEMA rabbitmq_peer;

-- Hot rows: room on the page for their next versions, as for the peers of PostgreSQL alone.
CREATE TABLE rabbitmq_peer.stock (
  sku_id text PRIMARY KEY,
  units_left bigint NOT NULL CHECK (units_left >= 0)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE rabbitmq_peer.orders (
  id uuid PRIMARY KEY,
  sku_id text NOT NULL,
  user_id text NOT NULL,
  quantity integer NOT NULL,
  UNIQUE (sku_id, user_id)
);

-- Decides one claim by one UPDATE of the stock, and returns the outcome.
CREATE FUNCTION rabbitmq_peer.sell_one(p_id uuid, p_sku text, p_user text, p_quantity integer) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_left bigint;
BEGIN
  IF EXISTS (SELECT FROM rabbitmq_peer.orders WHERE id = p_id) THEN
    RETURN 'replayed';
  END IF;
  IF EXISTS (SELECT FROM rabbitmq_peer.orders WHERE sku_id = p_sku AND user_id = p_user) THEN
    RETURN 'user_limit';
  END IF;
  SELECT units_left INTO v_left FROM rabbitmq_peer.stock WHERE sku_id = p_sku;
  IF v_left IS NULL OR v_left < p_quantity THEN
    RETURN 'sold_out';
  END IF;
  -- The order first: then the stock is locked for as short as can be. Another consumer may have been quicker.
  INSERT INTO rabbitmq_peer.orders (id, sku_id, user_id, quantity) VALUES (p_id, p_sku, p_user, p_quantity)
  ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RETURN CASE WHEN EXISTS (SELECT FROM rabbitmq_peer.orders WHERE id = p_id) THEN 'replayed' ELSE 'user_limit' END;
  END IF;
  UPDATE rabbitmq_peer.stock SET units_left = units_left - p_quantity
  WHERE sku_id = p_sku AND units_left >= p_quantity;
  IF NOT FOUND THEN
    DELETE FROM rabbitmq_peer.orders WHERE id = p_id;
    RETURN 'sold_out';
  END IF;
  RETURN 'created';
END
$$;

-- Decides a batch, one claim after the other; the outcomes are in the same order.
CREATE FUNCTION rabbitmq_peer.sell(p_ids uuid[], p_skus text[], p_users text[], p_quantities integer[])
RETURNS SETOF text
LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. cardinality(p_ids) LOOP
    RETURN NEXT rabbitmq_peer.sell_one(p_ids[i], p_skus[i], p_users[i], p_quantities[i]);
  END LOOP;
END
$$;
