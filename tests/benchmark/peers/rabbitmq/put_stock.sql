INSERT INTO rabbitmq_peer.stock (sku_id, units_left)
SELECT 'sku-' || number, $2::bigint FROM generate_series(0, $1::integer - 1) AS number;
