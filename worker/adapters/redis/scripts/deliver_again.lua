#!lua
-- Delivers pending entries to their consumer once more, except those that another consumer has taken over. This is one
-- step because XCLAIM would take those back, and slow consumers would go on like that for ever.
--
-- KEYS  1 request stream
-- ARGV  1 group, 2 consumer, then ids of entries
-- Returns {records of those that were delivered; none of deleted ones}, {how often each was delivered}
local mine, deliveries = {}, {}
for i = 3, #ARGV do
  local found = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2])
  if #found > 0 then
    mine[#mine + 1] = ARGV[i]
    deliveries[ARGV[i]] = found[1][4] + 1
  end
end
if #mine == 0 then return {{}, {}} end

local records, counts = {}, {}
for _, record in ipairs(redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, unpack(mine))) do
  if record then
    records[#records + 1], counts[#counts + 1] = record, deliveries[record[1]]
  end
end
return {records, counts}
