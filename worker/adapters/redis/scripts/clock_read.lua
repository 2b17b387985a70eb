#!lua
-- Reads the time of the server. It is a script so that a cluster client can find the server by a key.
--
-- KEYS  1 any name that the server holds
-- Returns what TIME returns.
return redis.call('TIME')
