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
-- Returns the entry id of each request. If Redis refuses to read in the middle, what was added is noted by then.

local call = redis.call
local requests, asked, results = KEYS[1], KEYS[2], KEYS[3]
local ttl, expiry, read_until, keep_from, most_kept = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])

-- A script is not rolled back: a request that is added and not noted would be added again. So rights come first.
local function demand(command, key)
  if not redis.acl_check_cmd(command, key) then
    error({err = 'NOPERM adding requests lacks the right to ' .. command .. ' ' .. key})
  end
end
demand('EXPIRE', asked)
if ARGV[7] ~= '0' then
  demand('XADD', requests)
  demand('HSET', asked)
end
local excess = most_kept > 0 and call('XLEN', results) - most_kept or 0
if excess > 0 or ARGV[6] ~= '0' then demand('HDEL', asked) end
if excess > 0 or keep_from ~= '' then demand('XTRIM', results) end

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local at = 8
for _ = 1, tonumber(ARGV[6]) do
  -- The request may have been asked for again since, and that one counts.
  if call('HGET', asked, ARGV[at]) == ARGV[at + 1] then call('HDEL', asked, ARGV[at]) end
  at = at + 2
end

local largest = '18446744073709551615'
local function fits(digits)
  return #digits < #largest or #digits == #largest and digits <= largest
end

-- An answered request leaves its stream in the step that writes the result. If neither is there, the result is lost.
-- Anybody may have written a note, so what is no entry's id counts as lost, too.
local function is_lost(note)
  local ms, seq = string.match(note, '^(%d+)%-(%d+)$')
  if not (ms and fits(ms) and fits(seq)) then return true end
  return #call('XRANGE', requests, note, note) == 0
    and #call('XRANGE', results, '(' .. read_until, '+', 'COUNT', 1) == 0
end

local entries = {}
for i = 1, tonumber(ARGV[7]) do
  local id, expires_in, words = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local entry = call('HGET', asked, id)
  if not entry or is_lost(entry) then
    local first = at + 3
    if expires_in > 0 then
      -- These two words are read by now, and the request's own follow: no copy of them is needed.
      first = at + 1
      ARGV[first], ARGV[first + 1] = expiry, string.format('%.0f', now + expires_in)
    end
    entry = call('XADD', requests, '*', unpack(ARGV, first, at + 2 + words))
    call('HSET', asked, id, entry)
  end
  entries[i] = entry
  at = at + 3 + words
end

call('EXPIRE', asked, ttl)
-- Without the right to, they live as long as other results.
if most_kept > 0 then redis.pcall('EXPIRE', results, ttl) end
if excess > 0 then
  local oldest = call('XRANGE', results, '-', '+', 'COUNT', math.min(excess, 1000))
  for _, record in ipairs(oldest) do
    local fields = record[2]
    for j = 1, #fields, 2 do
      if fields[j] == 'request_id' then call('HDEL', asked, fields[j + 1]) end
    end
  end
  call('XTRIM', results, 'MAXLEN', '=', most_kept + excess - #oldest)
end
if keep_from ~= '' then call('XTRIM', results, 'MINID', '=', keep_from) end
return entries
