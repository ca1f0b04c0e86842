INSERT INTO peers.orders (id, sku_id, user_id, quantity) VALUES (?, ?, ?, ?);
