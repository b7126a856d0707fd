-- Takes or renews a lease. KEYS: the store's own hash, the lease. ARGV: identity, holder, seconds. Answers 1 if it is held now.
if redis.call('HGET', KEYS[1], 'identity') ~= ARGV[1] then
  return redis.error_reply('IDENTITY the store is not the known one')
end
local held_by = redis.call('GET', KEYS[2])
if held_by and held_by ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
return 1
