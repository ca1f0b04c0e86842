-- For wrk: a random one of so many keys in each request. wrk ... URL -- KEYS PATH
-- At the end a line of JSON: how many were answered, how many of them with an error, and what went wrong.
local numbers = 0

function setup(thread)
  numbers = numbers + 1
  thread:set('seed', numbers)
end

function init(args)
  keys, path = tonumber(args[1]), args[2]
  math.randomseed(seed)
end

function request()
  return 'GET ' .. path .. '?key=user-' .. math.random(0, keys - 1) .. ' HTTP/1.1\r\nHost: localhost\r\n\r\n'
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('{"checks": %d, "refused": %d, "failed": %d, "seconds": %.6f}\n', summary.requests,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout, summary.duration / 1e6))
end
