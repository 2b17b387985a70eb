#!lua
-- Reads the stats hash and removes the counts in the same step, so that none is lost in between. Mixtures that counts
-- named stay, because the next counts will name them too.
--
-- KEYS  1 stats hash
-- Returns its fields and values in turn.

-- A script is not rolled back: what is removed and not returned would be lost. So rights come first.
local function demand(command, key)
  if not redis.acl_check_cmd(command, key) then
    error({err = 'NOPERM clearing counts lacks the right to ' .. command .. ' ' .. key})
  end
end
demand('DEL', KEYS[1])
demand('HSET', KEYS[1])

local fields = redis.call('HGETALL', KEYS[1])
redis.call('DEL', KEYS[1])
local value_of = {}
for i = 1, #fields, 2 do value_of[fields[i]] = fields[i + 1] end
for i = 1, #fields, 2 do
  local version = string.match(fields[i], '^drawn[^:]*:.*:([^:]+)$')
  local mixture = version and value_of['mixture:' .. version]
  if mixture then redis.call('HSET', KEYS[1], 'mixture:' .. version, mixture) end
end
return fields
