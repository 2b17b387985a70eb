#!lua
-- Stores an exclusion list, if its head still holds what was read: head and ids in one step.
--
-- KEYS  1 head, 2 ids
-- ARGV  1 the head that was read, empty: none; 2 new head, 3 new ids
-- Returns 1 if it is done, 0 if the head holds something else by now.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
-- A script is not rolled back: without the right to both, nothing is stored.
for _, key in ipairs(KEYS) do
  if not redis.acl_check_cmd('SET', key, '') then error({err = 'NOPERM storing a list lacks the right to SET ' .. key}) end
end
redis.call('SET', KEYS[2], ARGV[3])
redis.call('SET', KEYS[1], ARGV[2])
return 1
