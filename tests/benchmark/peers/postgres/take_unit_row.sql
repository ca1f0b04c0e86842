WITH free AS MATERIALIZED (
  SELECT unit_id FROM peers.unit WHERE sku_id = $2 AND order_id IS NULL LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE peers.unit SET order_id = $1 FROM free WHERE unit.unit_id = free.unit_id;
