#!lua
-- Removes consumers that hold nothing, were idle for long, and whose worker shows no state. The state counts because
-- Redis 7.0 does not count reads that find nothing, so that a live worker may look idle. This is one step because the
-- entries that a consumer holds would be lost with it.
--
-- KEYS  1 request stream
-- ARGV  1 group, 2 for how long, in ms, 3 start of the keys of workers' states, which are in the slot of KEYS 1
-- Returns how many
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers.err and (consumers.err:find('NOGROUP') or consumers.err:find('no such key')) then return 0 end
if consumers.err then return consumers end

-- A script is not rolled back: all that can fail is asked before the first one is removed.
local gone = {}
for _, words in ipairs(consumers) do
  local about = {}
  for i = 1, #words, 2 do about[words[i]] = words[i + 1] end
  local is_idle = about['pending'] == 0 and about['idle'] >= tonumber(ARGV[2])
  if is_idle and redis.call('EXISTS', ARGV[3] .. about['name']) == 0 then
    gone[#gone + 1] = about['name']
  end
end
for _, name in ipairs(gone) do redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], name) end
return #gone
