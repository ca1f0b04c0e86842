-- As look.sql does. Counting all units would take too long: 1 if there is any.
SELECT CASE WHEN EXISTS (SELECT FROM peers.unit WHERE sku_id = $2 AND order_id IS NULL) THEN 1 ELSE 0 END, 0,
  EXISTS (SELECT FROM peers.orders WHERE order_id = $1),
  EXISTS (SELECT FROM peers.orders WHERE sku_id = $2 AND user_id = $3);
