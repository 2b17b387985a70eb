#!lua
-- Makes one step of a rule if all that is stored about it is still as the step was planned on: settings, state, weights,
-- bounds and counts, the entry in the history and the notification. Otherwise it only returns what is stored now.
--
-- KEYS  1 hash of settings, 2 hash of states, 3 hash of what was heard, 4 hash of bounds, 5 weights key,
--       6 global weights key, 7 history stream, 8 hash of returns
-- ARGV  1 dataset or '', 2 to 5 what has to be stored: marks of settings, state and weights, and the return;
--       6 number of counts to read, then their fields; then, unless it only reads:
--       KEEP, SET or DEL and the new settings, the same of the state, the same of the weights, KEEP or DEL for what was
--       heard, number of new bounds, each with its field, the same of counts of what was heard, bound of the history,
--       fields and values of its entry;
--       to only read, 2 is a mark that nothing can have; 'known': of the bounds only those of the counts to read
-- Returns {server ms, settings, state, weights mark, value, mark and value of the global key, return, counts, fields and
-- values of bounds}, and 'made' if it was made.
local function mark_of(text)
  return text == '' and 'absent' or redis.sha1hex(text)
end

-- Calls a command; a key of another type is named, as the sentence of Redis does not say which one it is.
local function ask(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if type(reply) ~= 'table' or not reply.err then return reply end
  if string.find(reply.err, 'WRONGTYPE', 1, true) then error({err = 'WRONGTYPE ' .. key .. ' is of another type'}) end
  error(reply)
end

local function read(key)
  local value = redis.pcall('GET', key)
  if value == false then return 'absent', '' end
  if type(value) == 'string' then return redis.sha1hex(value), value end
  if string.find(value.err, 'WRONGTYPE', 1, true) then return 'wrong type', '' end
  error(value.err)
end

local function is_own(field)
  return string.match(field, '^[^:]*:([^:]*)') == ARGV[1]
end

local heard, bounds, at = {}, {}, 7
for i = 1, tonumber(ARGV[6]) do
  heard[i] = ask('HGET', KEYS[3], ARGV[at]) or ''
  local bound = ARGV[2] == 'known' and ask('HGET', KEYS[4], ARGV[at])
  if bound then
    bounds[#bounds + 1] = ARGV[at]
    bounds[#bounds + 1] = bound
  end
  at = at + 1
end
local all = ARGV[2] == 'known' and {} or ask('HGETALL', KEYS[4])
for i = 1, #all, 2 do
  if is_own(all[i]) then
    bounds[#bounds + 1] = all[i]
    bounds[#bounds + 1] = all[i + 1]
  end
end
local time = redis.call('TIME')
local settings = ask('HGET', KEYS[1], ARGV[1]) or ''
local state = ask('HGET', KEYS[2], ARGV[1]) or ''
local mark, value = read(KEYS[5])
local shared_mark, shared_value = read(KEYS[6])
local stands = ask('HGET', KEYS[8], ARGV[1]) or ''
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local found = {now_ms, settings, state, mark, value, shared_mark, shared_value, stands, heard, bounds}
if mark_of(settings) ~= ARGV[2] or mark_of(state) ~= ARGV[3] or mark ~= ARGV[4] or stands ~= ARGV[5] then
  return found
end

-- What can fail comes first, because a script is not rolled back: if a right is missing, nothing is stored.
local steps = {}
local function plan(...)
  if not redis.acl_check_cmd(...) then
    error({err = 'NOPERM a step of a rule lacks the right to ' .. table.concat({...}, ' ', 1, 2)})
  end
  steps[#steps + 1] = {...}
end
for i = 1, 2 do
  if ARGV[at] == 'SET' then plan('HSET', KEYS[i], ARGV[1], ARGV[at + 1]) end
  if ARGV[at] == 'DEL' then plan('HDEL', KEYS[i], ARGV[1]) end
  at = at + 2
end
local verb, after = ARGV[at], ARGV[at + 1]
if ARGV[at + 2] == 'DEL' then
  for _, field in ipairs(ask('HKEYS', KEYS[3])) do
    if is_own(field) then plan('HDEL', KEYS[3], field) end
  end
end
for i = 1, #bounds, 2 do plan('HDEL', KEYS[4], bounds[i]) end
at = at + 3
for _, key in ipairs({KEYS[4], KEYS[3]}) do
  local last = at + 2 * tonumber(ARGV[at])
  for i = at + 1, last, 2 do plan('HSET', key, ARGV[i], ARGV[i + 1]) end
  at = last + 1
end
if verb ~= 'KEEP' then
  if stands ~= '' then plan('HDEL', KEYS[8], ARGV[1]) end
  if verb == 'SET' then plan('SET', KEYS[5], after) else plan('DEL', KEYS[5]) end
  plan('PUBLISH', KEYS[5], after)
  ask('XADD', KEYS[7], 'MAXLEN', '~', ARGV[at], '*', unpack(ARGV, at + 1))
end
for _, step in ipairs(steps) do redis.call(unpack(step)) end
found[11] = 'made'
return found
