SELECT COALESCE(SUM(quantity), 0) FROM peers.orders;
