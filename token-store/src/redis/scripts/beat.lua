-- One heartbeat: the store is the known one and takes writes. KEYS: the store's own hash, the beat. ARGV: identity.
-- Answers the server's time in milliseconds and the version of what is known of lost nonces.
if redis.call('HGET', KEYS[1], 'identity') ~= ARGV[1] then
  return redis.error_reply('IDENTITY the store is not the known one')
end
local time = redis.call('TIME')
redis.call('SET', KEYS[2], time[1], 'EX', 60)
return {time[1] * 1000 + math.floor(time[2] / 1000), redis.call('HGET', KEYS[1], 'version')}
