#!lua
-- Stores weights, notes the change, and rings the bell: one step, so that nobody sees one without the others.
--
-- KEYS  1 weights key, 2 history stream; without it no note is taken
-- ARGV  1 new value, 2 bound of the history, then the history's fields and values; before and after are added here
-- Returns the value before, or false.
local before = redis.pcall('GET', KEYS[1])
if type(before) == 'table' then before = '' end
-- The note first: where it cannot be taken (the key is of another type), nothing is to be stored.
if KEYS[2] then
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'before', before or '', 'after', ARGV[1], unpack(ARGV, 3))
end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('PUBLISH', KEYS[1], ARGV[1])
return before
