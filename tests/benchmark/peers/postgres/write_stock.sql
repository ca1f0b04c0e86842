UPDATE peers.stock SET units_left = $2 WHERE sku_id = $1;
