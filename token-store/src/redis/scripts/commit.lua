-- Writes all or nothing: only where every expectation holds, in a store that is the known one.
-- KEYS[1]: the store's own hash; the rest: the keys that are named by number.
-- ARGV: identity; channel and message ('' for none); count of expectations, each: number of a hash's key, field, value
-- ('' absent, '*' any); then the commands, each: count of words, name, number of its key, further words.
-- DROP deletes a hash with the fields of its index: number of the index's key.
-- BOUND drops the oldest fields of a hash: numbers of its order's and of another sorted set's key, most, number of the
-- counters' key, counter of what was dropped.
-- Answers 0, or the number of the first expectation that does not hold.
if redis.call('HGET', KEYS[1], 'identity') ~= ARGV[1] then
  return redis.error_reply('IDENTITY the store is not the known one')
end
local at = 5
for number = 1, tonumber(ARGV[4]) do
  local have = redis.call('HGET', KEYS[tonumber(ARGV[at])], ARGV[at + 1])
  local want = ARGV[at + 2]
  local holds
  if want == '' then holds = not have elseif want == '*' then holds = have else holds = have == want end
  if not holds then return number end
  at = at + 3
end
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  local command = {}
  for word = 1, count do command[word] = ARGV[at + word] end
  command[2] = KEYS[tonumber(command[2])]
  if command[1] == 'DROP' then
    for _, field in ipairs(redis.call('HKEYS', command[2])) do
      redis.call('HDEL', KEYS[tonumber(command[3])], field)
    end
    redis.call('DEL', command[2])
  elseif command[1] == 'BOUND' then
    local over = redis.call('HLEN', command[2]) - tonumber(command[5])
    if over > 0 then
      local oldest = redis.call('ZRANGE', KEYS[tonumber(command[3])], 0, over - 1)
      for _, field in ipairs(oldest) do
        redis.call('HDEL', command[2], field)
        redis.call('ZREM', KEYS[tonumber(command[3])], field)
        redis.call('ZREM', KEYS[tonumber(command[4])], field)
      end
      redis.call('HINCRBY', KEYS[tonumber(command[6])], command[7], #oldest)
    end
  else
    redis.call(unpack(command))
  end
  at = at + count + 1
end
if ARGV[3] ~= '' then redis.call('PUBLISH', ARGV[2], ARGV[3]) end
return 0
