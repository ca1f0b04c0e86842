-- What one buyer may have of each SKU.
SELECT sku_id, per_user_limit FROM tranche.sku
