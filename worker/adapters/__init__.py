"""One module for each outside system: the only files that import redis or asyncpg."""
