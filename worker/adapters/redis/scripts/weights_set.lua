#!lua
-- Stores weights and rings the bell: one step, so that nobody hears the bell and reads what was before.
--
-- KEYS  1 weights key
-- ARGV  1 new value
redis.call('SET', KEYS[1], ARGV[1])
redis.call('PUBLISH', KEYS[1], ARGV[1])
