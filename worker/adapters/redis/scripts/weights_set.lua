#!lua
-- Stores or removes weights and notifies workers: one step, so that nobody is notified and reads the old value.
--
-- KEYS  1 weights key
-- ARGV  1 new value; none: the key is removed
local value = ARGV[1]
-- A script is not rolled back: without the right to notify, nothing is stored.
if not redis.acl_check_cmd('PUBLISH', KEYS[1], '') then
  error({err = 'NOPERM storing weights lacks the right to PUBLISH ' .. KEYS[1]})
end
if value then redis.call('SET', KEYS[1], value) else redis.call('DEL', KEYS[1]) end
redis.call('PUBLISH', KEYS[1], value or '')
