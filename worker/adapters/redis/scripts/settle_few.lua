#!lua
-- Settles a few plain requests as settle.lua does, or writes nothing and answers 'unclear': then settle.lua decides.
-- Plain are requests without sessions and dead letters. Most batches are of one or a few of them, and what a script does
-- once a batch is then most of its time. So this one reads no JSON, and asks for as little as can be.
--
-- KEYS  1 request stream, 2 stats hash, 3... result streams
-- ARGV  1 group, 2 consumer, 3 first entry id, 4 last entry id, 5 the id after that, empty beyond what Lua counts to,
--       6 bound of a result stream, 7 life of an unused reply stream (s), 8 index in KEYS of the shared result stream, or 0,
--       9 number of marks, 10 of tally fields, 11 of entries, 12 of fields of what was heard, then
--       marks: weights key, mark;
--       tally: stats field, growth;
--       entries: id, index of its result stream in KEYS, number of words, words;
--       if there are fields of what was heard: hash of bounds or '', hash of what was heard, the fields, their growths;
--       at last a token, which every answer ends with.
-- Returns {'settled', server ms, a key that could not be counted in or '', token} or {'unclear', token}.

local call, pcall, may = redis.call, redis.pcall, redis.acl_check_cmd
local requests, stats, group, consumer, token = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[#ARGV]
local shared = KEYS[tonumber(ARGV[8])]
local unclear = {'unclear', token}
local time = call('TIME')

local at = 13
for _ = 1, ARGV[9] do
  local value = pcall('GET', ARGV[at])
  local mark = not value and 'absent' or type(value) == 'string' and redis.sha1hex(value)
  if mark ~= ARGV[at + 1] then return unclear end
  at = at + 2
end
local tally_at = at
at = at + 2 * ARGV[10]
local ids, places = {}, {}
for i = 1, ARGV[11] do
  -- XADD, its key and its id are three words, too. Of more than settle.lua's most_words no command can be made.
  local words = 3 + ARGV[at + 2]
  if words > 7900 then return unclear end
  ids[i], places[i] = ARGV[at], at
  at = at + words
end

local heard, heard_at = tonumber(ARGV[12]), at + 2
if heard > 0 then
  local counts, last = ARGV[at + 1], at + 1 + heard
  if not (may('HMGET', counts, 'a') and may('HINCRBY', counts, 'a', '1')) then return unclear end
  local there = pcall('HMGET', counts, 'a')
  if there.err and not string.find(there.err, 'WRONGTYPE', 1, true) then return unclear end
  local bounds = ARGV[at] == '' and {} or pcall('HMGET', ARGV[at], unpack(ARGV, heard_at, last))
  local so_far
  for i = 1, bounds.err and 0 or heard do
    local bound = bounds[i] and tonumber(bounds[i])
    so_far = so_far or bound and pcall('HMGET', counts, unpack(ARGV, heard_at, last))
    if bound and (tonumber(so_far[i] or 0) or 0) >= bound then return unclear end
  end
  if bounds.err and not string.find(bounds.err, 'WRONGTYPE', 1, true) then return unclear end
end

-- Where the oldest entries that anybody holds are these, nothing older is pending, and all can be trimmed together.
local function are_ours(pending)
  local mine = {}
  for i = 1, #pending do mine[pending[i][1]] = pending[i][2] == consumer end
  for i = 1, #ids do
    if not mine[ids[i]] then return false end
  end
  return true
end
local are_oldest = are_ours(call('XPENDING', requests, group, '-', ARGV[4], #ids))
if not are_oldest and not are_ours(call('XPENDING', requests, group, ARGV[3], ARGV[4], #ids, consumer)) then
  return unclear
end

-- A script is not rolled back. What could fail after the first result is written is asked for before.
if not (may('XACK', requests, group, '0-0') and may('XTRIM', requests, 'MINID', '0') and may('XDEL', requests, '0-0')
    and may('HINCRBY', stats, 'a', '1')) then
  return unclear
end
for i = 3, #KEYS do
  local key = KEYS[i]
  if not (may('XTRIM', key, 'MAXLEN', '1') and may('XDEL', key, '0-0') and (key == shared or may('EXPIRE', key, '1'))) then
    return unclear
  end
end

local written = {}
for i, place in ipairs(places) do
  local key = KEYS[tonumber(ARGV[place + 1])]
  local id = pcall('XADD', key, '*', unpack(ARGV, place + 3, place + 2 + ARGV[place + 2]))
  if type(id) == 'table' then
    -- Nobody has seen these results yet. They are taken back, and settle.lua finds out what is wrong.
    for _, one in ipairs(written) do
      call('XDEL', one[1], one[2])
      if one[1] ~= shared then call('EXPIRE', one[1], ARGV[7], 'NX') end
    end
    return unclear
  end
  written[i] = {key, id}
end
call('XACK', requests, group, unpack(ids))
if are_oldest and ARGV[5] ~= '' then
  call('XTRIM', requests, 'MINID', '=', ARGV[5])
else
  call('XDEL', requests, unpack(ids))
end

local uncounted = ''
for i = heard_at, heard_at + heard - 1 do
  local key = ARGV[heard_at - 1]
  if type(pcall('HINCRBY', key, ARGV[i], ARGV[i + heard])) == 'table' then uncounted = key end
end
for i = tally_at, tally_at + 2 * ARGV[10] - 2, 2 do
  -- The key may hold another type, a field no number: the results are written by now and have to stay.
  if type(pcall('HINCRBY', stats, ARGV[i], ARGV[i + 1])) == 'table' then uncounted = stats end
end
for i = 3, #KEYS do
  call('XTRIM', KEYS[i], 'MAXLEN', '=', ARGV[6])
  -- A client may have given its stream a longer life.
  if KEYS[i] ~= shared and call('EXPIRE', KEYS[i], ARGV[7], 'GT') == 0 then
    call('EXPIRE', KEYS[i], ARGV[7], 'NX')
  end
end
return {'settled', time[1] * 1000 + math.floor(time[2] / 1000), uncounted, token}
