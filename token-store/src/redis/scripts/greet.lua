-- Meets a server: is this the known store, and may nonces have been lost since somebody last met it?
-- KEYS: the store's own hash, the servers, the counters, the consumers, the integrations.
-- ARGV: the server's id ('' only asks); the last second in which the caller served on another server; 'make', 'init' or
-- 'find' (what to do when there is no store); a new identity and its canary; '1' where the caller has brought marks of
-- timestamps ahead of the clock, which everybody has to read then.
-- Answers identity, canary, origin, version, floor, milliseconds since the floor was set, the server's milliseconds.
local time = redis.call('TIME')
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
-- One more: the caller's idea of the server's second may be off by a round trip.
local now = tonumber(time[1]) + 1
-- A store that never had a consumer served nobody: it has nothing to lose.
local served = redis.call('HEXISTS', KEYS[3], 'consumer') == 1 or redis.call('EXISTS', KEYS[4], KEYS[5]) > 0
if redis.call('HEXISTS', KEYS[1], 'identity') == 0 then
  -- What has served is not new: with a fresh identity, hash key and floor every request of before would count once more.
  local may_make = ARGV[3] == 'init' or (ARGV[3] == 'make' and not served)
  if not may_make then return redis.error_reply('IDENTITY there is no store') end
  redis.call('HSET', KEYS[1], 'identity', ARGV[4], 'canary', ARGV[5], 'origin', ARGV[3], 'version', 0, 'floor', 0, 'floor_at', 0)
end
local had = tonumber(redis.call('HGET', KEYS[1], 'floor'))
local floor = math.max(had, tonumber(ARGV[2]))
-- Somebody said that this store is the one from now on: gateways that knew another accept it. They come only now, with
-- marks of their own, so the second in which nobody serves begins now.
if ARGV[3] == 'init' then
  redis.call('HSET', KEYS[1], 'origin', 'init')
  floor = math.max(had + 1, floor, now)
end
if ARGV[1] ~= '' then
  local known = redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1
  if not known then
    if served then floor = math.max(floor, now) end
    if redis.call('HLEN', KEYS[2]) >= 4096 then redis.call('DEL', KEYS[2]) end
    redis.call('HSET', KEYS[2], ARGV[1], time[1])
    redis.call('HINCRBY', KEYS[1], 'version', 1)
  end
end
if floor > had then
  redis.call('HSET', KEYS[1], 'floor', string.format('%.0f', floor), 'floor_at', string.format('%.0f', ms))
  redis.call('HINCRBY', KEYS[1], 'version', 1)
elseif ARGV[6] == '1' then
  redis.call('HINCRBY', KEYS[1], 'version', 1)
end
local store = redis.call('HMGET', KEYS[1], 'identity', 'canary', 'origin', 'version', 'floor', 'floor_at')
return {store[1], store[2], store[3], tonumber(store[4]), tonumber(store[5]), ms - tonumber(store[6]), ms}
