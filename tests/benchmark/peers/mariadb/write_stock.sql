UPDATE peers.stock SET units_left = ? WHERE sku_id = ?;
