SELECT
  (SELECT coalesce(sum(stocked_quantity - reserved_quantity), 0)
     FROM inventory_level WHERE deleted_at IS NULL) AS units_left,
  (SELECT coalesce(sum(quantity), 0) FROM reservation_item WHERE deleted_at IS NULL) AS units_sold,
  (SELECT coalesce(array_agg(id::text), '{}') FROM reservation_item WHERE deleted_at IS NULL) AS order_ids;
