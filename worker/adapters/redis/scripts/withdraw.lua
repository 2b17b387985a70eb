#!lua
-- Ends a client: withdraws its requests that are not answered, and removes its keys.
--
-- KEYS  1 request stream, 2 hash of what the client has asked for, 3 its reply stream
-- ARGV  1 group

-- Anybody may have written there: a key of another type, or a value that is no entry's id, is ignored.
local entries = redis.pcall('HVALS', KEYS[2])
if entries.err then entries = {} end
redis.call('UNLINK', KEYS[2], KEYS[3])

local function withdraw(ids)
  -- Without XACK a worker that holds the entry would still write its result, into a stream that nobody reads.
  local acknowledged = redis.pcall('XACK', KEYS[1], ARGV[1], unpack(ids))
  local deleted = redis.pcall('XDEL', KEYS[1], unpack(ids))
  return type(acknowledged) ~= 'table' and type(deleted) ~= 'table'
end

for i = 1, #entries, 1000 do
  local some = {unpack(entries, i, math.min(i + 999, #entries))}
  if not withdraw(some) then
    for _, entry in ipairs(some) do withdraw({entry}) end
  end
end
