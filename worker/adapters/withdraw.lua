#!lua
-- Ends a client: what it has asked for and nobody has answered is withdrawn, and its keys are removed.
--
-- KEYS  1 request stream, 2 hash of what the client has asked for, 3 its reply stream
-- ARGV  1 group

local entries = redis.call('HVALS', KEYS[2])
for i = 1, #entries, 1000 do
  local some = {unpack(entries, i, math.min(i + 999, #entries))}
  -- Without the first, a worker that holds the entry would still write its result, into a stream that nobody reads.
  redis.call('XACK', KEYS[1], ARGV[1], unpack(some))
  redis.call('XDEL', KEYS[1], unpack(some))
end
redis.call('UNLINK', KEYS[2], KEYS[3])
