#!lua
-- Ends a client: withdraws its requests that are not answered, and removes its keys. What strangers wrote there keeps
-- no request from being withdrawn, so entries are withdrawn a part at a time.
--
-- KEYS  1 request stream, 2 hash of what the client has asked for, 3 its reply stream
-- ARGV  1 group

-- A script is not rolled back: requests whose notes are gone could not be withdrawn any more. So rights come first.
local function demand(command, key)
  if not redis.acl_check_cmd(command, key) then
    error({err = 'NOPERM withdrawing lacks the right to ' .. command .. ' ' .. key})
  end
end
demand('HVALS', KEYS[2])
demand('XACK', KEYS[1])
demand('XDEL', KEYS[1])

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
