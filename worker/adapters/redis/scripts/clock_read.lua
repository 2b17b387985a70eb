#!lua
-- Tells the time of the server. A script, so that a cluster knows by the key whom to ask.
--
-- KEYS  1 any name that the server holds
-- Returns what TIME returns.
return redis.call('TIME')
