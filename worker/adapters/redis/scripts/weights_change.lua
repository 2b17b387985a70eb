#!lua
-- Changes a weights key if all that is stored is still as the change was planned on. The value, its entry in the history,
-- its return if it is temporary, and the notification are one step. Otherwise it only returns what is stored now.
--
-- KEYS  1 weights key, 2 global weights key, 3 history stream, 4 hash of returns, 5 set of presets
-- ARGV  1 field of the returns, 2 preset or '', 3 mark that the key has to have, 4 return that has to be stored or '',
--       5 SET, DEL or KEEP, 6 new value, 7 new return or '', 8 bound of the history, then its fields and values;
--       to only read, 3 is a mark that no key can have, and nothing follows 4
-- Returns {server ms, mark, value, mark and value of the global key, return or ''}, and once done the history's entry.
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

local time = redis.call('TIME')
local mark, value = read(KEYS[1])
local shared_mark, shared_value = read(KEYS[2])
local stands = redis.pcall('HGET', KEYS[4], ARGV[1]) or ''
if type(stands) == 'table' then
  if (ARGV[7] or '') ~= '' or not string.find(stands.err, 'WRONGTYPE', 1, true) then ask('HGET', KEYS[4], ARGV[1]) end
  stands = ''
end
local found = {time[1] * 1000 + math.floor(time[2] / 1000), mark, value, shared_mark, shared_value, stands}
if mark ~= ARGV[3] or stands ~= ARGV[4] then return found end

-- What can fail comes first, because a script is not rolled back: if a key is of another type or a right is missing,
-- nothing is stored.
local function demand(...)
  if not redis.acl_check_cmd(...) then
    error({err = 'NOPERM a change of weights lacks the right to ' .. table.concat({...}, ' ', 1, 2)})
  end
end
if ARGV[7] ~= '' then demand('HSET', KEYS[4], ARGV[1], ARGV[7]) elseif stands ~= '' then demand('HDEL', KEYS[4], ARGV[1]) end
if ARGV[5] ~= 'KEEP' then
  if ARGV[5] == 'SET' then demand('SET', KEYS[1], '') else demand('DEL', KEYS[1]) end
  if ARGV[2] ~= '' then demand(ARGV[5] == 'SET' and 'SADD' or 'SREM', KEYS[5], ARGV[2]) end
  demand('PUBLISH', KEYS[1], '')
end
if ARGV[2] ~= '' then ask('SISMEMBER', KEYS[5], ARGV[2]) end
local entry = ask('XADD', KEYS[3], 'MAXLEN', '~', ARGV[8], '*', unpack(ARGV, 9))
if ARGV[7] ~= '' then
  redis.call('HSET', KEYS[4], ARGV[1], ARGV[7])
elseif stands ~= '' then
  redis.call('HDEL', KEYS[4], ARGV[1])
end
found[7] = entry
if ARGV[5] == 'KEEP' then return found end
if ARGV[5] == 'SET' then redis.call('SET', KEYS[1], ARGV[6]) else redis.call('DEL', KEYS[1]) end
if ARGV[2] ~= '' then redis.call(ARGV[5] == 'SET' and 'SADD' or 'SREM', KEYS[5], ARGV[2]) end
redis.call('PUBLISH', KEYS[1], ARGV[6])
return found
