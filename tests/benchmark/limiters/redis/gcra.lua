-- The generic cell rate algorithm, one key. KEYS: the key. ARGV: how many tries may come at once, and the interval
-- between two at the limit's rate, in microseconds. Answers whether the try is taken, and else after how many
-- microseconds it would be. By Redis' own clock, so that callers need none. What is stored is a whole number, which
-- Redis keeps in 8 bytes, and it ends when it says no more than nothing would.
local burst, interval = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local early = tat - now - (burst - 1) * interval
if early > 0 then return {0, early} end
tat = tat + interval
redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', string.format('%.0f', math.ceil((tat - now) / 1000)))
return {1, 0}
