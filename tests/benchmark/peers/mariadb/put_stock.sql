INSERT INTO peers.stock (sku_id, units_left) VALUES (?, ?);
