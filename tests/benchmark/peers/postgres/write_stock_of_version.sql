UPDATE peers.stock SET units_left = $2, version = version + 1 WHERE sku_id = $1 AND version = $3;
