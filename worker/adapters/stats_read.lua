#!lua
-- Reads the stats hash, and removes it in the same step where that is asked for, so that no count is lost between.
--
-- KEYS  1 stats hash
-- ARGV  1 1 or 0: whether to remove it
-- Returns its fields and values in turn.
local fields = redis.call('HGETALL', KEYS[1])
if ARGV[1] == '1' then redis.call('DEL', KEYS[1]) end
return fields
