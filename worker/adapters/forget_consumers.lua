#!lua
-- Removes consumers from the group that hold nothing and have asked for nothing for long: names that no worker has any
-- more. What a consumer holds would be lost with it, so that both have to be seen in the same step. One whose worker
-- lives after all is made again by its next read.
--
-- KEYS  1 request stream
-- ARGV  1 group, 2 for how long, in ms
-- Returns how many
local removed = 0
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers.err and (consumers.err:find('NOGROUP') or consumers.err:find('no such key')) then return 0 end
if consumers.err then return consumers end
for _, words in ipairs(consumers) do
  local about = {}
  for i = 1, #words, 2 do about[words[i]] = words[i + 1] end
  if about['pending'] == 0 and about['idle'] >= tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], about['name'])
    removed = removed + 1
  end
end
return removed
