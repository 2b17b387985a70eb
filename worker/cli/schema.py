"""What `migrate` does."""

import asyncio

from worker.adapters.postgres.migrate import migrate, planned_sql
from worker.cli.printing import print_json, print_text
from worker.cli.progress import shown_while
from worker.settings.servers import read_server_settings


def migrate_schema(*, as_json: bool) -> None:
    """Create or upgrade the schema, and print what was applied."""
    url = read_server_settings(need=["database"]).database_url
    with shown_while("applying the schema"):
        applied = asyncio.run(migrate(url))
    if as_json:
        print_json({"applied": applied})
    else:
        print_text(f"applied {', '.join(applied)}" if applied else "the schema is up to date")


def print_migrations(*, as_json: bool) -> None:
    """Print the SQL that `migrate` would run, and run nothing."""
    url = read_server_settings(need=["database"]).database_url
    text = asyncio.run(planned_sql(url))
    if as_json:
        print_json({"sql": text})
    else:
        for line in (text or "-- the schema is up to date").splitlines():
            print_text(line)
