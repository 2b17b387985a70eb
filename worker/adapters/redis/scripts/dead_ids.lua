#!lua
-- Lists the ids of some entries of a stream, without their fields, which may be large.
--
-- KEYS  1 stream
-- ARGV  1 first id, 2 last id, 3 how many at most
-- Returns the ids.
local entries = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', ARGV[3])
for i, entry in ipairs(entries) do entries[i] = entry[1] end
return entries
