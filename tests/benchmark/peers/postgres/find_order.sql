SELECT 1 FROM peers.orders WHERE order_id = $1;
