-- How many queued claims are decided, by SKU.
SELECT sku_id, count(*) FROM tranche.reservation WHERE sku_id LIKE 'queued-%' GROUP BY sku_id
