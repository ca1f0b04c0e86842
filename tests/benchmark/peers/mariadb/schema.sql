-- Of the server's own defaults nothing is changed: InnoDB, and durable as the server is set up.
CREATE OR REPLACE DATABASE peers CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE peers.stock (
  sku_id VARCHAR(128) PRIMARY KEY,
  units_left BIGINT NOT NULL,
  version BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE peers.orders (
  id UUID PRIMARY KEY,
  sku_id VARCHAR(128) NOT NULL,
  user_id VARCHAR(128) NOT NULL,
  quantity INT NOT NULL,
  UNIQUE KEY (sku_id, user_id)
);
