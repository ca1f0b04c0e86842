UPDATE peers.stock SET units_left = units_left - ? WHERE sku_id = ? AND units_left >= ?;
