SELECT order_id, quantity FROM peers.orders;
