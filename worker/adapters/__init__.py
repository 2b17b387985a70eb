"""One outside system a module: the only files that import redis or asyncpg."""
