-- Per SKU: id, stock, units of live reservations, unsold units, money of live reservations, money they should be, and of
-- the units of live reservations those that are not paid.
SELECT s.sku_id, s.stock, coalesce(r.units, 0), coalesce(u.units, 0), coalesce(r.amount, 0),
       coalesce(r.units, 0) * s.price_minor, coalesce(r.pending, 0)
FROM tranche.sku s
LEFT JOIN (SELECT sku_id, sum(quantity) AS units, sum(amount_minor) AS amount,
                  sum(quantity) FILTER (WHERE state = 'PENDING') AS pending FROM tranche.reservation
           WHERE state IN ('PENDING', 'CONFIRMED') GROUP BY sku_id) r ON r.sku_id = s.sku_id
LEFT JOIN (SELECT sku_id, sum(remaining) AS units FROM tranche.stock_slot GROUP BY sku_id) u ON u.sku_id = s.sku_id
ORDER BY s.sku_id;
