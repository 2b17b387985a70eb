"""`migrate --print`: the SQL that would run, as psql reads it, and nothing that runs."""

import json
from pathlib import Path

from tests.support.command import run_command
from tests.support.servers import execute, fetch_value


def test_the_sql_is_printed_until_nothing_is_left_to_do(empty_database_url: str, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": empty_database_url}
    printed = run_command("migrate", "--print", settings=settings, cwd=tmp_path)
    assert printed.returncode == 0
    as_json = run_command("migrate", "--print", "--json", settings=settings, cwd=tmp_path)
    assert json.loads(as_json.stdout)["sql"].split() == printed.stdout.split()
    assert fetch_value(empty_database_url, "select count(*) from pg_class where relname like '%audio_chunks%'") == 0
    execute(empty_database_url, printed.stdout)
    again = run_command("migrate", "--print", settings=settings, cwd=tmp_path)
    assert again.stdout == "-- the schema is up to date\n"
    assert run_command("migrate", settings=settings, cwd=tmp_path).stdout == "the schema is up to date\n"
