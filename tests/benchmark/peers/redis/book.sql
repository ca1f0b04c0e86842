-- A batch of the stream. What is there already was taken from the stream once before.
INSERT INTO redis_peer.orders (id, sku_id, user_id, quantity)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::integer[])
ON CONFLICT DO NOTHING;
