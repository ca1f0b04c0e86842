SELECT count(*) FROM peers.unit WHERE order_id IS NULL;
