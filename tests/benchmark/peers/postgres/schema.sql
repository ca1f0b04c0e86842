-- What the peers on PostgreSQL sell from. Each uses the orders and one of the tables of stock.
SET LOCAL client_min_messages = warning;
DROP SCHEMA IF EXISTS peers CASCADE;
CREATE SCHEMA peers;

CREATE TABLE peers.orders (
  order_id   uuid PRIMARY KEY,
  sku_id     text NOT NULL,
  user_id    text NOT NULL,
  quantity   integer NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (sku_id, user_id)
);

-- Hot rows: room on the page for their next versions, so that an update touches no index.
CREATE TABLE peers.stock (
  sku_id     text PRIMARY KEY,
  units_left bigint NOT NULL,
  version    bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE peers.unit (
  unit_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sku_id   text NOT NULL,
  order_id uuid
);
CREATE INDEX ON peers.unit (sku_id) WHERE order_id IS NULL;

CREATE TABLE peers.slot (
  sku_id     text NOT NULL,
  slot_no    integer NOT NULL,
  units_left bigint NOT NULL CHECK (units_left >= 0),
  PRIMARY KEY (sku_id, slot_no)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
