SELECT units_left FROM peers.stock WHERE sku_id = $1 FOR UPDATE;
