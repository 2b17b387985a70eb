#!lua
-- Replaces the counts of some mixtures by sums, and removes the mixtures: one step, so that no count is lost or doubled.
-- Nothing is done if one of the mixtures was drawn from meanwhile, or a field holds no number.
--
-- KEYS  1 stats hash
-- ARGV  1 start of the field of a mixture, 2 number of kinds of counts that name one, 3 of mixtures, 4 of their counts, then
--       kinds; versions of mixtures; counts: field, value that it has to hold; growth: field, how much it grows
-- Returns 1 if it was done, else 0.
local stats, start = KEYS[1], ARGV[1]
local first_version = 5 + tonumber(ARGV[2])
local first_count = first_version + tonumber(ARGV[3])
local first_growth = first_count + 2 * tonumber(ARGV[4])

local kinds, versions, counts = {}, {}, {}
for i = 5, first_version - 1 do kinds[ARGV[i]] = true end
for i = first_version, first_count - 1 do versions[ARGV[i]] = true end
for i = first_count, first_growth - 1, 2 do
  if redis.call('HGET', stats, ARGV[i]) ~= ARGV[i + 1] then return 0 end
  counts[ARGV[i]] = true
end
for _, field in ipairs(redis.call('HKEYS', stats)) do
  local kind, version = string.match(field, '^([^:]*):.*:([^:]*)$')
  if kind and kinds[kind] and versions[version] and not counts[field] then return 0 end
end

-- A script is not rolled back: counts that are summed up and stay would be summed up again. What can fail comes first.
local function demand(command, key)
  if not redis.acl_check_cmd(command, key) then
    error({err = 'NOPERM folding counts lacks the right to ' .. command .. ' ' .. key})
  end
end
demand('HINCRBY', stats)
demand('HDEL', stats)
for i = first_growth, #ARGV, 2 do
  local held = redis.call('HGET', stats, ARGV[i]) or '0'
  if #held > 18 or not string.match(held, '^%-?%d+$') then return 0 end
end

for i = first_growth, #ARGV, 2 do redis.call('HINCRBY', stats, ARGV[i], ARGV[i + 1]) end
for field in pairs(counts) do redis.call('HDEL', stats, field) end
for version in pairs(versions) do redis.call('HDEL', stats, start .. version) end
return 1
