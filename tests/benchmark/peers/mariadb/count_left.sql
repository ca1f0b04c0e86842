SELECT COALESCE(SUM(units_left), 0) FROM peers.stock;
