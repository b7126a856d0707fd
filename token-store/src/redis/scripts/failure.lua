-- Counts a failed sign-in. KEYS: the store's own hash, the failures, the failures by expiry.
-- ARGV: identity, member, now, seconds of the lock. Answers the count.
if redis.call('HGET', KEYS[1], 'identity') ~= ARGV[1] then
  return redis.error_reply('IDENTITY the store is not the known one')
end
local count = 0
local before = redis.call('HGET', KEYS[2], ARGV[2])
if before then
  local had, expires = before:match('^(%d+):(%d+)$')
  if expires and tonumber(expires) > tonumber(ARGV[3]) then count = tonumber(had) end
end
count = math.min(count + 1, 4294967295)
local expires = string.format('%.0f', tonumber(ARGV[3]) + tonumber(ARGV[4]))
redis.call('HSET', KEYS[2], ARGV[2], string.format('%.0f:%s', count, expires))
redis.call('ZADD', KEYS[3], expires, ARGV[2])
return count
