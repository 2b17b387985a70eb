"""Real Valkey and PostgreSQL servers on loopback, run from the programs of two wheels.

The Python code of the wheels is not used. It offers no TCP, no restart on the same port and no crash. As root it adds
users to the system and opens folders that are not its own. Everybody on this machine can connect to these servers: they
are for demonstrations and tests. Those of `up`, in `lasting`, keep their data, and let nobody in as a superuser.
"""

from worker.embedded.postgres import PostgresServer
from worker.embedded.redis import RedisServer

__all__ = ["PostgresServer", "RedisServer"]
