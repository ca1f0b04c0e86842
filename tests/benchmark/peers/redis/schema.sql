SET client_min_messages = warning;
DROP SCHEMA IF EXISTS redis_peer CASCADE;
CREATE SCHEMA redis_peer;

CREATE TABLE redis_peer.orders (
  id uuid PRIMARY KEY,
  sku_id text NOT NULL,
  user_id text NOT NULL,
  quantity integer NOT NULL,
  UNIQUE (sku_id, user_id)
);
