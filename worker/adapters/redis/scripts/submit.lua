#!lua
-- Adds requests of one client, each at most once however often it is sent: a hash notes the entry of each.
--
-- KEYS  1 request stream, 2 hash of what the client has asked for, 3 its reply stream
-- ARGV  1 life of the hash (s), 2 name of the field for the time of expiry,
--       3 id of the last result that the client has read, 4 id of the oldest result that it still needs; '' for all,
--       5 how many results stay, as long as the hash, for a client that goes on in its place; 0: all that are needed,
--       6 number of results to be forgotten, 7 of requests, then
--       results to be forgotten: request id, entry id;
--       requests: request id, ms until it expires (0: never), number of words, its fields and values.
-- Returns the entry id of each request.

local requests, asked, results = KEYS[1], KEYS[2], KEYS[3]
local ttl, expiry, read_until, keep_from, most_kept = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local at = 8
for _ = 1, tonumber(ARGV[6]) do
  -- The request may have been asked for again since, and that one counts.
  if redis.call('HGET', asked, ARGV[at]) == ARGV[at + 1] then redis.call('HDEL', asked, ARGV[at]) end
  at = at + 2
end

local function is_empty(stream, from, to)
  return #redis.call('XRANGE', stream, from, to, 'COUNT', 1) == 0
end

-- An answered request leaves its stream in the step that writes the result. If neither is there, the result is lost.
local function is_lost(entry)
  return is_empty(requests, entry, entry) and is_empty(results, '(' .. read_until, '+')
end

local largest = '18446744073709551615'
local function fits(digits)
  return #digits < #largest or #digits == #largest and digits <= largest
end

-- Anybody may have written a note, so what is no entry's id is ignored.
local function note_of(id)
  local note = redis.call('HGET', asked, id)
  local ms, seq = string.match(note or '', '^(%d+)%-(%d+)$')
  return ms and fits(ms) and fits(seq) and note or nil
end

local entries = {}
for i = 1, tonumber(ARGV[7]) do
  local id, expires_in, words = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local entry = note_of(id)
  if not entry or is_lost(entry) then
    local command = {'XADD', requests, '*', unpack(ARGV, at + 3, at + 2 + words)}
    if expires_in > 0 then
      command[#command + 1], command[#command + 2] = expiry, string.format('%.0f', now + expires_in)
    end
    entry = redis.call(unpack(command))
    redis.call('HSET', asked, id, entry)
  end
  entries[i] = entry
  at = at + 3 + words
end

redis.call('EXPIRE', asked, ttl)
if most_kept > 0 then
  redis.pcall('EXPIRE', results, ttl) -- without the right to, they live as long as other results
  local excess = redis.call('XLEN', results) - most_kept
  if excess > 0 then
    local oldest = redis.call('XRANGE', results, '-', '+', 'COUNT', math.min(excess, 1000))
    for _, record in ipairs(oldest) do
      local fields = record[2]
      for j = 1, #fields, 2 do
        if fields[j] == 'request_id' then redis.call('HDEL', asked, fields[j + 1]) end
      end
    end
    redis.call('XTRIM', results, 'MAXLEN', '=', most_kept + excess - #oldest)
  end
end
if keep_from ~= '' then redis.call('XTRIM', results, 'MINID', '=', keep_from) end
return entries
