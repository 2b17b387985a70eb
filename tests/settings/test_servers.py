"""What commands read of the settings is what the model reads, errors included, whichever of the two checks it."""

import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from worker.errors import SettingsError
from worker.settings.environment import environment_with
from worker.settings.model import load_settings
from worker.settings.servers import Server, ServerSettings, read_server_settings

REDIS, POSTGRES = "redis://me:h1dden@localhost/0", "postgresql://me:h1dden@localhost/audio"
BOTH: Mapping[str, str] = {"REDIS_URL": REDIS, "DATABASE_URL": POSTGRES}
NEEDS: tuple[tuple[Server, ...], ...] = (("redis",), ("database",), ("redis", "database"), ())
GIVEN: list[Mapping[str, str]] = [
    {},
    *(
        {"REDIS_URL": url}
        for url in ("", "redi://x", "rediss://x:1/2?ssl_cert_reqs=none", "redis+cluster://x", "'redis://x'")
    ),
    *({"DATABASE_URL": url} for url in ("", "x", "postgres:///audio", "postgresql://h:0/x", "postgresql://h/x?a=b")),
    *({"WORKER_PREFIX": prefix} for prefix in ("", "a b", "{audio}", "x" * 65, '"audio"', "audio\n")),
    *(
        {"WORKER_CHUNKS_QUERY": query}
        for query in ("", "table x", "SELECT id, category from t", "select\n1", "'select 1'")
    ),
    *({"WORKER_WEIGHT_UNIT": unit} for unit in ("", "Seconds", "chunks", " chunks", "minutes")),
    *({"WORKER_RUN_DIR": folder} for folder in ("", "relative", "/run", "/a\0b")),
    {"WORKER_BATCH": "7"},
    {"WORKER_BATCH": "0"},
    {"WORKER_BACH": "7"},
    {"LOG_LEVEL": "nonsense"},
    {"REDIS_URL_FILE": "/nowhere"},
    {"WORKER_SESSION_TTL": "5"},
    {"redis_url": REDIS},
    {"WORKER_PREFIX": "a b", "WORKER_WEIGHT_UNIT": "minutes"},
]


def by_model(environ: Mapping[str, str], need: tuple[Server, ...], dotenv: Path) -> ServerSettings | str:
    try:
        found = load_settings(environ, need=need, dotenv=dotenv)
    except SettingsError as error:
        return str(error)
    urls = (found.redis_url.get_secret_value(), found.database_url.get_secret_value())
    return ServerSettings(*urls, found.prefix, found.chunks_query, found.weight_unit)


def read(environ: Mapping[str, str], need: tuple[Server, ...], dotenv: Path) -> ServerSettings | str:
    try:
        return read_server_settings(environ, need=need, dotenv=dotenv)
    except SettingsError as error:
        return str(error)


@pytest.mark.parametrize("need", NEEDS, ids=" ".join)
@pytest.mark.parametrize("urls", [BOTH, {"REDIS_URL": REDIS}, {"DATABASE_URL": POSTGRES}, {}], ids=" ".join)
def test_both_read_the_same(tmp_path: Path, urls: Mapping[str, str], need: tuple[Server, ...]) -> None:
    dotenv = tmp_path / ".env"
    for given, wanted in itertools.product(GIVEN, (False, True)):
        is_in_file = wanted and all("\n" not in value and "\0" not in value for value in given.values())
        dotenv.write_text("".join(f"{name}={value}\n" for name, value in given.items()) if is_in_file else "")
        environ = urls if is_in_file else {**urls, **given}
        assert read(environ, need, dotenv) == by_model(environ, need, dotenv), (environ, given)


@pytest.mark.parametrize("more", [{}, {"WORKER_BATCH": "7"}], ids=["checked here", "checked by the model"])
def test_a_file_that_can_be_read_once_is_read_once(tmp_path: Path, more: Mapping[str, str]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(f"{REDIS}\n",))
    writer.start()
    environ = {"REDIS_URL_FILE": str(pipe), **more}
    assert read_server_settings(environ, need=["redis"], dotenv=tmp_path / ".env").redis_url == REDIS
    writer.join(10)


def test_no_secret_is_shown() -> None:
    shown = repr(read_server_settings(BOTH, need=["redis", "database"], dotenv=Path("/nowhere")))
    assert "h1dden" not in shown


@pytest.mark.parametrize(
    ("more", "is_loaded"),
    [
        ({"WORKER_PREFIX": "a", "WORKER_WEIGHT_UNIT": "seconds", "WORKER_RUN_DIR": "/run", "LOG_LEVEL": "x"}, False),
        ({"WORKER_BATCH": "7"}, True),
    ],
)
def test_the_model_is_loaded_only_where_it_has_to_decide(
    tmp_path: Path, more: Mapping[str, str], *, is_loaded: bool
) -> None:
    program = (
        "import sys; from worker.settings.servers import read_server_settings; "
        "read_server_settings(need=['redis']); print('pydantic' in sys.modules)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program],
        env=environment_with({**BOTH, **more, "PYTHONPATH": str(Path(__file__).parents[2])}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed == f"{is_loaded}\n"
