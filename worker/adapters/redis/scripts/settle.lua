#!lua
-- Settles a batch: for each entry that is still pending for this consumer, writes its result, then acknowledges it.
-- Nothing is written unless the weights keys still hold what the batch was drawn under, no bound of what was heard is met,
-- and every entry can be settled.
--
-- KEYS  1 request stream, 2 stats hash, 3 dead-letter stream, 4 shared result stream, 5... reply streams and sessions
-- ARGV  1 group, 2 consumer, 3 first entry id, 4 last entry id,
--       5 bound of a result stream, 6 life of an unused reply stream (s), 7 life of an idle session (s),
--       8 number of marks, 9 of tally fields, 10 of forms, 11 of entries, 12 of dead letters, 13 of sessions,
--       14 of fields of what was heard, then
--       marks: weights key, mark;
--       sessions: index of its hash in KEYS, number of fields expected, stored, growing, then such fields, each with
--         what it has to hold (empty: nothing), what it is to hold, how much it grows;
--       tally: stats field, growth;
--       forms, as JSON: the command that adds a result, with anything where its stream or a hole is, and the places of
--         the holes in it: first the request id's, second the entry id's, then those of the entry's other values;
--       entries: id, index of its result stream in KEYS, index of its form, request id, other values;
--       dead letters: index of the entry, number of words, its fields and values;
--       if there are fields of what was heard: hash of bounds or '', hash of what was heard, the fields, their growths;
--       at last a token, which every answer ends with, so that none is taken for the answer to another settling.
-- The weights keys and bounds stand in ARGV because EVALSHA demands the right to write every key in KEYS. What was heard
-- stands beside them, so that nobody needs a right to it before there is a rule.
-- Returns {'stale', server ms, {indexes of marks}, {marks of what the keys hold now},
--         {indexes of sessions}, {fields and values of each; nil where the key holds another type},
--         {indexes of fields of what was heard whose bounds are met}, token}
--      or {'refused', server ms, {entries not pending here}, {entries that cannot be written}, token}
--      or {'settled', server ms, a key that could not be counted in or '', token}; indexes count from 0, in ARGV too.

local requests, stats = KEYS[1], KEYS[2]
local group, consumer, first, last = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local maxlen, ttl, session_ttl = ARGV[5], ARGV[6], ARGV[7]
local marks, tally_fields = tonumber(ARGV[8]), tonumber(ARGV[9])
local forms, entries, dead_letters = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
local sessions, heard = tonumber(ARGV[13]), tonumber(ARGV[14])
local heard_at = #ARGV - 2 * heard  -- the first of the fields
local token = ARGV[#ARGV]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- A script is not rolled back: whoever lacks the right to one of these would leave a batch half done. XACK, XPENDING
-- and TYPE are called before anything is written.
local function demand(...)
  if not redis.acl_check_cmd(...) then
    error({err = 'NOPERM settling lacks the right to ' .. table.concat({...}, ' ', 1, 2)})
  end
end
demand('XTRIM', requests, 'MINID', '0')
demand('XDEL', requests, '0-0')
demand('HINCRBY', stats, 'a', '1')
if dead_letters > 0 then
  demand('XADD', KEYS[3], '*', 'a', 'b')
  demand('XDEL', KEYS[3], '0-0')
end
for i = 4, #KEYS - sessions do
  demand('XADD', KEYS[i], '*', 'a', 'b')
  demand('XTRIM', KEYS[i], 'MAXLEN', '1')
  demand('XDEL', KEYS[i], '0-0')
  if i > 4 then demand('EXPIRE', KEYS[i], '1') end
end
if heard > 0 then
  demand('HMGET', ARGV[heard_at - 1], 'a')
  demand('HINCRBY', ARGV[heard_at - 1], 'a', '1')
end
for i = #KEYS - sessions + 1, #KEYS do
  demand('HSET', KEYS[i], 'a', '1')
  demand('HINCRBY', KEYS[i], 'a', '1')
  demand('EXPIRE', KEYS[i], '1')
end

local function mark_of(key)
  local value = redis.pcall('GET', key)
  if value == false then return 'absent' end
  if type(value) == 'string' then return redis.sha1hex(value) end
  if string.find(value.err, 'WRONGTYPE', 1, true) then return 'wrong type' end
  error(value.err)
end

local at, stale, marks_now = 15, {}, {}
for i = 0, marks - 1 do
  local mark = mark_of(ARGV[at])
  if mark ~= ARGV[at + 1] then
    stale[#stale + 1], marks_now[#marks_now + 1] = i, mark
  end
  at = at + 2
end

local sessions_at = at
local moved, contents = {}, {}
for i = 0, sessions - 1 do
  local key = KEYS[tonumber(ARGV[at])]
  local expected, others = tonumber(ARGV[at + 1]), ARGV[at + 2] + ARGV[at + 3]
  local kind = redis.call('TYPE', key).ok
  local is_hash = kind == 'hash' or kind == 'none'
  local holds = is_hash
  for j = at + 4, at + 2 + 2 * expected, 2 do
    holds = holds and (redis.call('HGET', key, ARGV[j]) or '') == ARGV[j + 1]
  end
  if not holds then
    moved[#moved + 1] = i
    contents[#contents + 1] = is_hash and redis.call('HGETALL', key) or false
  end
  at = at + 4 + 2 * (expected + others)
end

-- A bound that is no number, or in a key of another type, is none.
local met = {}
local function find_met(from, to)
  local bounds = redis.pcall('HMGET', ARGV[heard_at - 2], unpack(ARGV, from, to))
  if bounds.err then
    if string.find(bounds.err, 'WRONGTYPE', 1, true) then return end
    error(bounds.err)
  end
  local so_far
  for i = from, to do
    local bound = bounds[i - from + 1]
    bound = bound and tonumber(bound)
    if bound then
      so_far = so_far or redis.pcall('HMGET', ARGV[heard_at - 1], unpack(ARGV, from, to))
      if (tonumber(so_far[i - from + 1] or 0) or 0) >= bound then met[#met + 1] = i - heard_at end
    end
  end
end
-- While a slot is moved, what was heard may be on the other node, and could not be counted after results are written.
local counts = heard > 0 and redis.pcall('HMGET', ARGV[heard_at - 1], 'a') or {}
if counts.err and not string.find(counts.err, 'WRONGTYPE', 1, true) then error(counts.err) end
if heard > 0 and ARGV[heard_at - 2] ~= '' then
  local end_at = heard_at + heard - 1
  for from = heard_at, end_at, 5000 do find_met(from, math.min(from + 4999, end_at)) end
end
if #stale + #moved + #met > 0 then return {'stale', now, stale, marks_now, moved, contents, met, token} end

-- The group has to be there before anything is written.
redis.call('XACK', requests, group, '0-0')
local mine, from, page = {}, first, nil
repeat
  page = redis.call('XPENDING', requests, group, from, last, 1000, consumer)
  for i = 1, #page do mine[page[i][1]] = true end
  if #page > 0 then from = '(' .. page[#page][1] end
until #page < 1000

-- A command of a script takes no more than some 7,990 arguments; unpack would end the script with half a batch written.
local most_words = 7900
-- Indexes stay the texts that they come as: turning each entry's into numbers costs more than looking them up.
local writable = {}
local function is_writable(stream)
  if writable[stream] == nil then
    local kind = redis.call('TYPE', KEYS[tonumber(stream)]).ok
    writable[stream] = kind == 'stream' or kind == 'none'
  end
  return writable[stream]
end

local tally_at = at
at = at + 2 * tally_fields
local form_of = {}
for i = 0, forms - 1 do
  local form = cjson.decode(ARGV[at + i])
  form_of[tostring(i)] = {command = form[1], holes = form[2], own = #form[2] - 1, fits = #form[1] <= most_words}
end
at = at + forms

local entries_at = at
local ids, letter_of = {}, {}
for i = 0, entries - 1 do
  ids[i + 1] = ARGV[at]
  at = at + 3 + form_of[ARGV[at + 2]].own
end
for _ = 1, dead_letters do
  local m = tonumber(ARGV[at + 1])
  letter_of[tonumber(ARGV[at])] = {at + 2, at + 1 + m, m <= most_words}
  at = at + 2 + m
end

local lost, unwritable = {}, {}
at = entries_at
for i = 0, entries - 1 do
  local form, letter = form_of[ARGV[at + 2]], letter_of[i]
  if not mine[ids[i + 1]] then
    lost[#lost + 1] = i
  elseif not is_writable(ARGV[at + 1]) and not letter or not form.fits or letter and not letter[3] then
    unwritable[#unwritable + 1] = i
  end
  at = at + 3 + form.own
end
if #lost + #unwritable > 0 then return {'refused', now, lost, unwritable, token} end

local used, written = {}, {}

local function added(key, reply)
  if type(reply) == 'table' then return false end
  written[#written + 1] = {key, reply}
  return true
end

at = entries_at
for i = 0, entries - 1 do
  local stream, form, letter = ARGV[at + 1], form_of[ARGV[at + 2]], letter_of[i]
  local command, holes = form.command, form.holes
  local done = not letter or added(KEYS[3], redis.pcall('XADD', KEYS[3], '*', unpack(ARGV, letter[1], letter[2])))
  if done and writable[stream] then
    local key = used[stream] or KEYS[tonumber(stream)]
    command[2], command[holes[1]], command[holes[2]] = key, ARGV[at + 3], ids[i + 1]
    for j = 3, #holes do command[holes[j]] = ARGV[at + 1 + j] end
    if added(key, redis.pcall(unpack(command))) then
      used[stream] = key
    else
      done = letter
    end
  end
  if not done then
    -- Nobody has seen this batch's results yet: take them back, so that counts and results stay equal.
    for _, entry in ipairs(written) do
      redis.call('XDEL', entry[1], entry[2])
      if entry[1] ~= KEYS[3] and entry[1] ~= KEYS[4] then redis.call('EXPIRE', entry[1], ttl, 'NX') end
    end
    return {'refused', now, {}, {i}, token}
  end
  at = at + 3 + form.own
end
redis.call('XACK', requests, group, unpack(ids))

-- What is answered goes at once, so that not even a group that is made anew delivers it again. Mostly nothing older is
-- pending, and all can be trimmed together; deleting one by one takes longer.
local function id_after(id)
  local ms, seq = string.match(id, '(%d+)-(%d+)')
  -- Beyond 2^53 a sequence number is no exact number here.
  return tonumber(seq) < 9007199254740991 and string.format('%s-%.0f', ms, seq + 1) or nil
end

local behind = #redis.call('XPENDING', requests, group, '-', last, 1) == 0 and id_after(last)
if behind then
  redis.call('XTRIM', requests, 'MINID', '=', behind)
else
  redis.call('XDEL', requests, unpack(ids))
end

local uncounted = ''
for i = heard_at, heard_at + heard - 1 do
  local key = ARGV[heard_at - 1]
  if type(redis.pcall('HINCRBY', key, ARGV[i], ARGV[i + heard])) == 'table' then uncounted = key end
end
local function grow(key, first_field, fields)
  for i = first_field, first_field + 2 * fields - 1, 2 do
    -- The key may hold another type, a field no number: the results are written by now and have to stay.
    local grown = redis.pcall('HINCRBY', key, ARGV[i], ARGV[i + 1])
    if type(grown) == 'table' then uncounted = key end
  end
end
grow(stats, tally_at, tally_fields)

at = sessions_at
for _ = 1, sessions do
  local key = KEYS[tonumber(ARGV[at])]
  local expected, stored, grown = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  at = at + 4 + 2 * expected
  for i = at, at + 2 * stored - 1, 2 do redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
  grow(key, at + 2 * stored, grown)
  redis.call('EXPIRE', key, session_ttl)
  at = at + 2 * (stored + grown)
end

for _, key in pairs(used) do
  redis.call('XTRIM', key, 'MAXLEN', '=', maxlen)
  -- A client may have given its stream a longer life.
  if key ~= KEYS[4] and redis.call('EXPIRE', key, ttl, 'GT') == 0 then redis.call('EXPIRE', key, ttl, 'NX') end
end

return {'settled', now, uncounted, token}
