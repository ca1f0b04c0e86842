UPDATE peers.stock SET units_left = units_left - 1 WHERE sku_id = $1 AND units_left >= 1;
