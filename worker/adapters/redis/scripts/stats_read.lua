#!lua
-- Reads the stats hash. On request it removes the counts in the same step, so that none is lost in between. Mixtures that
-- counts named stay, because the next counts will name them too.
--
-- KEYS  1 stats hash
-- ARGV  1 1 or 0: whether to remove them
-- Returns its fields and values in turn.
local fields = redis.call('HGETALL', KEYS[1])
if ARGV[1] == '1' then
  redis.call('DEL', KEYS[1])
  local value_of = {}
  for i = 1, #fields, 2 do value_of[fields[i]] = fields[i + 1] end
  for i = 1, #fields, 2 do
    local version = string.match(fields[i], '^drawn[^:]*:.*:([^:]+)$')
    local mixture = version and value_of['mixture:' .. version]
    if mixture then redis.call('HSET', KEYS[1], 'mixture:' .. version, mixture) end
  end
end
return fields
