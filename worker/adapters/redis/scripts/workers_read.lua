#!lua
-- Reads the states of all live workers. Each worker is a consumer of the group from its start, so that no key has to be
-- looked for.
--
-- KEYS  1 request stream
-- ARGV  1 group, 2 start of the keys of workers' states, which are in the slot of KEYS 1
-- Returns the name and the state of each worker that shows one
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers.err and (consumers.err:find('NOGROUP') or consumers.err:find('no such key')) then return {} end
if consumers.err then return consumers end

local found = {}
for _, words in ipairs(consumers) do
  local about = {}
  for i = 1, #words, 2 do about[words[i]] = words[i + 1] end
  local key = ARGV[2] .. about['name']
  local state = redis.pcall('GET', key)
  if type(state) == 'table' and state.err and not state.err:find('WRONGTYPE') then return state end
  if type(state) == 'string' then
    found[#found + 1] = about['name']
    found[#found + 1] = state
  end
end
return found
