#!lua
-- Reads what temporary weights will give way to, and the time of the server.
--
-- KEYS  1 hash of returns
-- Returns {server ms, its fields and values in turn; nil if the key is of another type}.
local time = redis.call('TIME')
local fields = redis.pcall('HGETALL', KEYS[1])
if fields.err and not fields.err:find('WRONGTYPE') then return fields end
return {time[1] * 1000 + math.floor(time[2] / 1000), not fields.err and fields or false}
