#!lua
-- Moves refused reports to the stream of refused ones: in one step, so that each is moved, and told of, once, whoever
-- else reads it.
--
-- KEYS  1 stream of reports, 2 stream of refused reports
-- ARGV  1 bound of the latter, then for each report: its id, how many words are kept of it, these words
-- Returns the ids of those that were moved; others were moved before, or have left the stream.
if not redis.acl_check_cmd('XDEL', KEYS[1], '0-1') then
  error({err = 'NOPERM refusing reports lacks the right to XDEL ' .. KEYS[1]})
end

local moved, at = {}, 2
while at <= #ARGV do
  local id, count = ARGV[at], tonumber(ARGV[at + 1])
  if #redis.call('XRANGE', KEYS[1], id, id) > 0 then
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', unpack(ARGV, at + 2, at + 1 + count))
    redis.call('XDEL', KEYS[1], id)
    moved[#moved + 1] = id
  end
  at = at + 2 + count
end
return moved
