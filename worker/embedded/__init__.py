"""Run real Valkey and PostgreSQL servers on loopback, out of the programs that two wheels carry.

The wheels' own Python is not used: it offers no TCP, no restart on the same port and no crash, and as root
it adds users to the system and opens up folders that are not its own. Everybody on this machine can connect
to these servers: they are for demonstrations and tests.
"""

from worker.embedded.postgres import PostgresServer
from worker.embedded.redis import RedisServer

__all__ = ["PostgresServer", "RedisServer"]
