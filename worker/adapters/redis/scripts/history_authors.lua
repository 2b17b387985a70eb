#!lua
-- Reads who made changes of weights, without the values, the newest first.
--
-- KEYS  1 history stream
-- ARGV  1 most entries to look at, 2 an entry: all entries after it are read,
--       then weights names or '': of each that is not among them, the newest entry before is read, too
-- Returns {id, weights name or '', mark of the value, who, reason, end of temporary weights or ''} of each entry. The mark
-- is 'absent' for a key that was removed, and '' for an entry that changed nothing.
local wanted, left = {}, 0
for i = 3, #ARGV do wanted[ARGV[i]], left = true, left + 1 end

local found, newest, oldest = {}, '+', '(' .. ARGV[2]
for _ = 1, ARGV[1] do
  -- One at a time, as an entry may hold two values of 1 MiB.
  local entry = redis.call('XREVRANGE', KEYS[1], newest, oldest, 'COUNT', 1)[1]
  if not entry and oldest ~= '-' and left > 0 then
    newest, oldest = ARGV[2], '-'
    entry = redis.call('XREVRANGE', KEYS[1], newest, oldest, 'COUNT', 1)[1]
  end
  if not entry then break end
  newest = '(' .. entry[1]
  local of, words = {}, entry[2]
  for i = 1, #words, 2 do of[words[i]] = words[i + 1] end
  local name, after, mark = of['dataset'] or '', of['after'] or '', ''
  if after ~= (of['before'] or '') then
    mark = after == '' and 'absent' or redis.sha1hex(after)
    if wanted[name] then wanted[name], left = nil, left - 1 end
  end
  found[#found + 1] = {entry[1], name, mark, of['who'] or '', of['reason'] or '', of['until'] or ''}
  if oldest == '-' and left == 0 then break end
end
return found
