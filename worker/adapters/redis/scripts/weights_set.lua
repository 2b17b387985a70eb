#!lua
-- Stores weights and notifies workers: one step, so that nobody is notified and reads the old value.
--
-- KEYS  1 weights key
-- ARGV  1 new value
redis.call('SET', KEYS[1], ARGV[1])
redis.call('PUBLISH', KEYS[1], ARGV[1])
