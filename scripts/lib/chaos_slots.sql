-- Every SKU with each of its slots: SKU, its stock, who holds the slot (0: the pool), units left in it.
SELECT s.sku_id, s.stock, coalesce(sl.holder, 0), coalesce(sl.remaining, 0)
FROM tranche.sku s
LEFT JOIN tranche.stock_slot sl ON sl.sku_id = s.sku_id
