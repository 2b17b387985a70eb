#!lua
-- Lists the mixtures in the stats hash, and the counts of what was drawn from each.
--
-- KEYS  1 stats hash
-- ARGV  1 start of the field of a mixture, then kinds of counts that name one
-- Returns {version, {its counts' fields and values in turn}} of each mixture.
local kinds = {}
for i = 2, #ARGV do kinds[ARGV[i]] = true end
local versions, counts = {}, {}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, #ARGV[1]) == ARGV[1] then
    versions[#versions + 1] = string.sub(field, #ARGV[1] + 1)
  else
    local kind, version = string.match(field, '^([^:]*):.*:([^:]*)$')
    if kind and kinds[kind] then
      counts[version] = counts[version] or {}
      table.insert(counts[version], field)
      table.insert(counts[version], redis.call('HGET', KEYS[1], field))
    end
  end
end
local found = {}
for _, version in ipairs(versions) do found[#found + 1] = {version, counts[version] or {}} end
return found
