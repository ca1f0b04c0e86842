INSERT INTO peers.unit (sku_id)
SELECT 'sku-' || number
FROM generate_series(0, $1::integer - 1) AS number, generate_series(1, $2::bigint);
