#!lua
-- Drops the oldest reports of losses, until they are no more than may be, and take about as many bytes as they may.
--
-- KEYS  1 stream of reports
-- ARGV  1 most entries, 2 most bytes, 3 how many nodes of the stream to look at
-- Returns how many entries are left.
if redis.call('TYPE', KEYS[1]).ok == 'none' then return 0 end
-- What can fail comes first: without the right to look, nothing is dropped.
redis.call('MEMORY', 'USAGE', KEYS[1], 'SAMPLES', ARGV[3])
redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ARGV[1])
local length = redis.call('XLEN', KEYS[1])
while length > 1 and redis.call('MEMORY', 'USAGE', KEYS[1], 'SAMPLES', ARGV[3]) > tonumber(ARGV[2]) do
  length = math.max(1, length - math.ceil(length / 16))
  redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', length)
end
return length
