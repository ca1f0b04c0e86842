-- At most one row: units left, version, whether this order exists, whether this buyer has one.
SELECT units_left, version,
  EXISTS (SELECT 1 FROM peers.orders WHERE id = ?),
  EXISTS (SELECT 1 FROM peers.orders WHERE sku_id = ? AND user_id = ?)
FROM peers.stock WHERE sku_id = ?;
