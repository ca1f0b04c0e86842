-- Decisions of queued claims: SKU, id, buyer, whether it was sold, and when the transaction that decided it began.
SELECT sku_id, reservation_id, user_id, state <> 'CANCELLED', extract(epoch FROM created_at)
FROM tranche.reservation WHERE sku_id LIKE 'queued-%'
