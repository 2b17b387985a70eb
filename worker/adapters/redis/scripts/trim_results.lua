#!lua
-- Drops the oldest results of a stream until it takes fewer bytes than it may, a sixteenth of the entries at a time. It is
-- called when another sixteenth of the bytes may have been written, and leaves that much room.
--
-- KEYS  1 result stream
-- ARGV  1 most bytes
-- Returns how many entries were dropped.
if redis.call('TYPE', KEYS[1]).ok ~= 'stream' then return 0 end
local most, before = tonumber(ARGV[1]) * 15 / 16, redis.call('XLEN', KEYS[1])
local length = before
while length > 1 and redis.call('MEMORY', 'USAGE', KEYS[1], 'SAMPLES', '0') > most do
  length = math.max(1, length - math.ceil(length / 16))
  redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', length)
end
return before - length
