#!lua
-- Settles a batch: for each entry that is still pending for this consumer, writes its result, then acknowledges it.
-- Nothing is written unless the weights keys still hold what the batch was drawn under and every entry can be settled.
--
-- KEYS  1 request stream, 2 stats hash, 3 dead-letter stream, 4 shared result stream, 5... reply streams
-- ARGV  1 group, 2 consumer, 3 first entry id, 4 last entry id,
--       5 bound of a result stream, 6 life of an unused reply stream (s),
--       7 number of marks, 8 number of tally fields, 9 number of entries,
--       then marks: weights key, mark; tally: stats field, growth;
--       entries: id, index of its result stream in KEYS, n, n result fields and values, m, m dead-letter fields and values.
-- The weights keys stand in ARGV because EVALSHA demands the right to write every key in KEYS.
-- Returns {'stale', server ms, {indexes of marks}}
--      or {'refused', server ms, {entries not pending here}, {entries that cannot be written}}
--      or {'settled', server ms, 1 or 0: whether everything could be counted}; indexes count from 0.

local requests, stats = KEYS[1], KEYS[2]
local group, consumer, first, last = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local maxlen, ttl = ARGV[5], ARGV[6]
local marks, tally_fields, entries = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function mark_of(key)
  local value = redis.pcall('GET', key)
  if value == false then return 'absent' end
  if type(value) == 'string' then return redis.sha1hex(value) end
  if string.find(value.err, 'WRONGTYPE', 1, true) then return 'wrong type' end
  error(value.err)
end

local at, stale = 10, {}
for i = 0, marks - 1 do
  if mark_of(ARGV[at]) ~= ARGV[at + 1] then stale[#stale + 1] = i end
  at = at + 2
end
if #stale > 0 then return {'stale', now, stale} end

-- A group of this name and the right to acknowledge have to be there before anything is written.
redis.call('XACK', requests, group, '0-0')
local mine, from, page = {}, first, nil
repeat
  page = redis.call('XPENDING', requests, group, from, last, 1000, consumer)
  for _, pending in ipairs(page) do mine[pending[1]] = true end
  if #page > 0 then from = '(' .. page[#page][1] end
until #page < 1000

-- A command of a script takes no more than some 7,990 arguments; unpack would end the script with half a batch written.
local most_words = 7900
local writable = {}
for i = 4, #KEYS do
  local kind = redis.call('TYPE', KEYS[i]).ok
  writable[i] = kind == 'stream' or kind == 'none'
end

local tally_at, entries_at = at, at + 2 * tally_fields
local lost, unwritable = {}, {}
at = entries_at
for i = 0, entries - 1 do
  local n = tonumber(ARGV[at + 2])
  local m = tonumber(ARGV[at + 3 + n])
  if not mine[ARGV[at]] then
    lost[#lost + 1] = i
  elseif m == 0 and not writable[tonumber(ARGV[at + 1])] or n > most_words or m > most_words then
    unwritable[#unwritable + 1] = i
  end
  at = at + 4 + n + m
end
if #lost + #unwritable > 0 then return {'refused', now, lost, unwritable} end

local answered, used, written = {}, {}, {}

local function add(stream, from_arg, to_arg)
  local reply = redis.pcall('XADD', KEYS[stream], '*', unpack(ARGV, from_arg, to_arg))
  if type(reply) == 'table' then return false end
  written[#written + 1] = {stream, reply}
  return true
end

at = entries_at
for i = 0, entries - 1 do
  local stream, n = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local m = tonumber(ARGV[at + 3 + n])
  local done = m == 0 or add(3, at + 4 + n, at + 3 + n + m)
  if done and writable[stream] and add(stream, at + 3, at + 2 + n) then
    used[stream] = true
  elseif m == 0 then
    done = false
  end
  if not done then
    -- Nobody has seen this batch's results yet: take them back, so that counts and results stay equal.
    for _, entry in ipairs(written) do
      redis.call('XDEL', KEYS[entry[1]], entry[2])
      if entry[1] > 4 then redis.call('EXPIRE', KEYS[entry[1]], ttl) end
    end
    return {'refused', now, {}, {i}}
  end
  answered[#answered + 1] = ARGV[at]
  at = at + 4 + n + m
end
redis.call('XACK', requests, group, unpack(answered))

local countable = redis.call('TYPE', stats).ok
countable = countable == 'hash' or countable == 'none'
if countable then
  for i = tally_at, entries_at - 1, 2 do
    -- A field may hold no number, or overflow: the results are written by now and have to stay.
    local grown = redis.pcall('HINCRBY', stats, ARGV[i], ARGV[i + 1])
    if type(grown) == 'table' then countable = false end
  end
end

for stream, _ in pairs(used) do
  redis.call('XTRIM', KEYS[stream], 'MAXLEN', '=', maxlen)
  if stream > 4 then redis.call('EXPIRE', KEYS[stream], ttl) end
end

-- Everything below the lowest pending entry is answered; with nothing pending, so is everything delivered.
local function lowest_unanswered()
  local pending = redis.call('XPENDING', requests, group)
  if pending[1] > 0 then return pending[2] end
  for _, about in ipairs(redis.call('XINFO', 'GROUPS', requests)) do
    local named, delivered
    for i = 1, #about, 2 do
      if about[i] == 'name' then named = about[i + 1] end
      if about[i] == 'last-delivered-id' then delivered = about[i + 1] end
    end
    if named == group then
      local ms, seq = string.match(delivered, '(%d+)-(%d+)')
      -- Beyond 2^53 a sequence number is no exact number here: then the last answered entry stays for a while.
      return tonumber(seq) < 9007199254740991 and string.format('%s-%.0f', ms, seq + 1) or delivered
    end
  end
end
redis.call('XTRIM', requests, 'MINID', '=', lowest_unanswered())

return {'settled', now, countable and 1 or 0}
