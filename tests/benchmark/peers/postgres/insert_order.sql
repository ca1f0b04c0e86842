INSERT INTO peers.orders (order_id, sku_id, user_id, quantity) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING;
