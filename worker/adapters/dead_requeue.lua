#!lua
-- Sends requests that were given up on again, and removes their letters: each in one step, so that none is sent twice.
--
-- KEYS  1 dead-letter stream, 2 request stream
-- ARGV  fields and values that a letter has at its end beside the request's own, then ids of letters
-- Returns pairs: id of the letter, id of the new request; ids that are not there are left out.
local sent = {}
for i = 2, #ARGV do
  local found = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])
  if #found > 0 then
    local words = found[1][2]
    local last = #words - tonumber(ARGV[1])
    -- Of a freak whose last fields are left out, the letter says so in one more pair.
    if words[#words - 1] == 'fields_left_out' then last = last - 2 end
    -- A request may have had no field at all, but no stream takes an empty entry.
    if last < 2 then words, last = {'size', '1'}, 2 end
    sent[#sent + 1] = ARGV[i]
    sent[#sent + 1] = redis.call('XADD', KEYS[2], '*', unpack(words, 1, last))
    redis.call('XDEL', KEYS[1], ARGV[i])
  end
end
return sent
