UPDATE peers.stock SET units_left = ?, version = version + 1 WHERE sku_id = ? AND version = ?;
