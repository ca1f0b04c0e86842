SELECT units_left FROM peers.stock WHERE sku_id = ? FOR UPDATE;
