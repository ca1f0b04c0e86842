-- Orders that hold units: SKU and id.
COPY (SELECT sku_id, reservation_id FROM tranche.reservation WHERE state IN ('PENDING', 'CONFIRMED')) TO STDOUT;
