#!lua
-- Sends requests that were given up on again, and removes their dead letters: in one step, so that none is sent twice.
--
-- KEYS  1 dead-letter stream, 2 request stream
-- ARGV  1 how many fields a letter adds at the end of the request's own, then their names, then the ids of letters
-- Returns letter and entry of the new request in turn; letters that are not there are left out. The entry is '' for a
-- letter that no worker has written; it stays.
local most_words = 7900 -- a command of a script takes no more than some 7,990 arguments
local own = tonumber(ARGV[1])

-- Returns where the request's own words end; nil if the letter does not end as workers end it.
local function end_of_request(words)
  local last = #words
  -- If fields of the request were left out, one more pair says so.
  if words[last - 1] == 'fields_left_out' then last = last - 2 end
  last = last - 2 * own
  for i = 1, own do
    if last < 0 or words[last + 2 * i - 1] ~= ARGV[i + 1] then return nil end
  end
  return last <= most_words and last or nil
end

-- A script is not rolled back: a request that is sent and keeps its letter would be sent again. So rights come first.
local function demand(command, key)
  if not redis.acl_check_cmd(command, key) then
    error({err = 'NOPERM sending again lacks the right to ' .. command .. ' ' .. key})
  end
end
demand('XADD', KEYS[2])
demand('XDEL', KEYS[1])

local sent = {}
for i = own + 2, #ARGV do
  local found = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])
  if #found > 0 then
    local words = found[1][2]
    local last = end_of_request(words)
    sent[#sent + 1] = ARGV[i]
    if last then
      -- A request may have had no field at all, but no stream takes an empty entry.
      if last < 2 then words, last = {'size', '1'}, 2 end
      sent[#sent + 1] = redis.call('XADD', KEYS[2], '*', unpack(words, 1, last))
      redis.call('XDEL', KEYS[1], ARGV[i])
    else
      sent[#sent + 1] = ''
    end
  end
end
return sent
