#!lua
-- Stores weights and notifies: one step, so that nobody hears the notification and reads what was before.
--
-- KEYS  1 weights key
-- ARGV  1 new value
redis.call('SET', KEYS[1], ARGV[1])
redis.call('PUBLISH', KEYS[1], ARGV[1])
