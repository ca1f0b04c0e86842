-- One row: units left, version, whether this order exists, whether this buyer has one.
SELECT stock.units_left, stock.version,
  EXISTS (SELECT FROM peers.orders WHERE order_id = $1),
  EXISTS (SELECT FROM peers.orders WHERE sku_id = $2 AND user_id = $3)
FROM (VALUES (1)) AS always (one)
LEFT JOIN peers.stock ON stock.sku_id = $2;
