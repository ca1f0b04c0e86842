-- Sells to one buyer. KEYS: the stock (a hash by SKU), the SKU's buyers (a set), the ids of all orders (a set), the
-- orders that are to be booked (a stream). ARGV: id, SKU, buyer, units. Answers with the outcome.
local id, sku, user, quantity = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if redis.call('SISMEMBER', KEYS[3], id) == 1 then return 'replayed' end
if redis.call('SISMEMBER', KEYS[2], user) == 1 then return 'user_limit' end
local left = tonumber(redis.call('HGET', KEYS[1], sku) or '0')
if left < quantity then return 'sold_out' end
redis.call('HINCRBY', KEYS[1], sku, -quantity)
redis.call('SADD', KEYS[2], user)
redis.call('SADD', KEYS[3], id)
redis.call('XADD', KEYS[4], '*', 'id', id, 'sku', sku, 'user', user, 'quantity', ARGV[4])
return 'created'
