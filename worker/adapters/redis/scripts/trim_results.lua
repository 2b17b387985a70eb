#!lua
-- Drops the oldest results of a stream until it takes fewer bytes than it may, a part of its entries at a time. It is
-- called when another such part of the bytes may have been written, and leaves that much room.
--
-- KEYS  1 result stream
-- ARGV  1 most bytes, 2 how many nodes of the stream to look at (0: all), 3 how many parts a stream has
-- Returns how many entries were dropped.
if redis.call('TYPE', KEYS[1]).ok ~= 'stream' then return 0 end
local parts = tonumber(ARGV[3])
local most, before = tonumber(ARGV[1]) * (parts - 1) / parts, redis.call('XLEN', KEYS[1])
local length = before
while length > 1 and redis.call('MEMORY', 'USAGE', KEYS[1], 'SAMPLES', ARGV[2]) > most do
  length = math.max(1, length - math.ceil(length / parts))
  redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', length)
end
return before - length
