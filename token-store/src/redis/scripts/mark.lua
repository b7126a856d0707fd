-- Marks timestamps that were served ahead of the clock, in a store that is the known one.
-- KEYS: the store's own hash, the marks. ARGV: identity; then member and timestamp in turn.
if redis.call('HGET', KEYS[1], 'identity') ~= ARGV[1] then
  return redis.error_reply('IDENTITY the store is not the known one')
end
for at = 2, #ARGV, 2 do redis.call('ZADD', KEYS[2], 'GT', ARGV[at + 1], ARGV[at]) end
return 0
