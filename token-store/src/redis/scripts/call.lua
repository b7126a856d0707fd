-- Runs commands in order, in a store that is the known one, and answers all their results.
-- KEYS[1]: the store's own hash; the rest: the keys that the commands name by number.
-- ARGV[1]: its identity; then each command as: count of words, name, number of its key, further words.
-- VIA reads through an index: index field, number of the table's key → number and row.
if redis.call('HGET', KEYS[1], 'identity') ~= ARGV[1] then
  return redis.error_reply('IDENTITY the store is not the known one')
end
local results, at = {}, 2
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  local command = {}
  for word = 1, count do command[word] = ARGV[at + word] end
  command[2] = KEYS[tonumber(command[2])]
  if command[1] == 'VIA' then
    local id = redis.call('HGET', command[2], command[3])
    results[#results + 1] = id and {id, redis.call('HGET', KEYS[tonumber(command[4])], id)}
  else
    results[#results + 1] = redis.call(unpack(command))
  end
  at = at + count + 1
end
return results
