"""Commands start at once: each loads only what it needs. The tests count modules, never seconds."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from worker.cli.commands import app
from worker.core.wire import LARGEST_SEED
from worker.settings.environment import environment_with

HEAVY = ("asyncpg", "matplotlib", "numpy", "pydantic", "rich", "structlog", "torch")
SERVERS = ("anyio", "asyncio", "redis", "ssl")
NOWHERE = {"REDIS_URL": "redis://127.0.0.1:1/0", "DATABASE_URL": "postgresql://me@127.0.0.1:1/audio"}
Loaded = tuple[int, int, set[str]]
"""What a command ended with, how many modules it had loaded, and which packages."""
COUNT = """
import json, os, sys
from worker.__main__ import main
import worker.cli.commands
for number, words in enumerate(json.loads(sys.argv[1])):
    if os.fork() == 0:
        sys.argv[1:] = words
        status = None
        try:
            main()
        except SystemExit as end:
            status = end.code
        names = sorted({name.partition(".")[0] for name in sys.modules})
        with open(str(number), "w") as out:
            json.dump([status, len(sys.modules), names], out)
        os._exit(0)
    os.wait()
"""
MOST_OF_HELP, MOST_OF_REDIS, MOST_OF_WATCH, MOST_OF_POSTGRES = 170, 400, 434, 330


def verbs(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from verbs(command, (*path, name))


ANSWERED: dict[tuple[str, ...], int] = {
    ("--help",): 0,
    ("-h",): 0,
    ("statz",): 2,
    ("stats", "--bogus"): 2,
    ("sample", "--size", "x"): 2,
    **{(*words, "--help"): 0 for words in verbs(app) if words != ("health",)},
}
"""What the command line answers by itself, and with which status."""
ASK_REDIS = [
    ("weights", "show"),
    ("weights", "set", "voice=1"),
    ("weights", "remove"),
    ("weights", "watch"),
    ("weights", "history"),
    ("weights", "rollback"),
    ("weights", "preset", "list"),
    ("weights", "preset", "apply", "night"),
    ("stats",),
    ("session", "list"),
    ("session", "show", "s"),
    ("dead", "show"),
    ("dead", "requeue", "--all"),
]
ASK_EVERYTHING, ASK_NOBODY = ("watch",), ("schema",)
ASK_POSTGRES = [("migrate",), ("catalog", "show"), ("catalog", "quarantine", "--list"), ("catalog", "release", "1")]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], Loaded]:
    """Run each command in a process that is forked off one which has the command line alone."""
    folder = tmp_path_factory.mktemp("loaded")
    commands = [*ANSWERED, *ASK_REDIS, ASK_EVERYTHING, *ASK_POSTGRES, ASK_NOBODY]
    subprocess.run(
        [sys.executable, "-c", COUNT, json.dumps(commands)],
        env=environment_with({**NOWHERE, "PYTHONPATH": str(Path(__file__).parents[2])}),
        cwd=folder,
        capture_output=True,
        timeout=300,
        check=True,
    )
    found = [json.loads((folder / str(number)).read_text()) for number in range(len(commands))]
    return {words: (status, count, {*names}) for words, (status, count, names) in zip(commands, found, strict=True)}


@pytest.mark.parametrize("words", ANSWERED, ids=" ".join)
def test_help_and_typos_load_the_command_line_alone(
    loaded: dict[tuple[str, ...], Loaded], words: tuple[str, ...]
) -> None:
    ended, count, names = loaded[words]
    assert ended == ANSWERED[words]
    assert names.intersection([*HEAVY, *SERVERS]) == set()
    assert count <= MOST_OF_HELP


@pytest.mark.parametrize("words", ASK_REDIS, ids=" ".join)
def test_verbs_that_ask_redis_load_neither_numpy_nor_the_settings_model(
    loaded: dict[tuple[str, ...], Loaded], words: tuple[str, ...]
) -> None:
    status, count, names = loaded[words]
    assert status == 3
    assert "redis" in names
    assert names.intersection(HEAVY) == set()
    assert count <= MOST_OF_REDIS


def test_a_verb_that_looks_at_everything_loads_no_more_than_that(loaded: dict[tuple[str, ...], Loaded]) -> None:
    status, count, names = loaded[ASK_EVERYTHING]
    assert status == 3
    assert names.intersection(HEAVY) == set()
    assert count <= MOST_OF_WATCH


@pytest.mark.parametrize("words", ASK_POSTGRES, ids=" ".join)
def test_a_verb_that_asks_postgresql_loads_no_redis(
    loaded: dict[tuple[str, ...], Loaded], words: tuple[str, ...]
) -> None:
    status, count, names = loaded[words]
    assert status == 3
    assert "asyncpg" in names
    assert names.intersection({*HEAVY, "redis"} - {"asyncpg"}) == set()
    assert count <= MOST_OF_POSTGRES


def test_a_verb_that_asks_nobody_loads_no_driver(loaded: dict[tuple[str, ...], Loaded]) -> None:
    status, count, names = loaded[ASK_NOBODY]
    assert status == 0
    assert "pydantic" in names
    assert names.intersection({*HEAVY, *SERVERS} - {"pydantic"}) == set()
    assert count <= MOST_OF_REDIS


def test_the_largest_seed_of_an_option_is_that_of_the_contract() -> None:
    sample = app.commands["sample"]
    [seed] = [param for param in sample.params if param.name == "seed"]
    assert seed.type.convert(str(2**59), None, None) == 2**59
    with pytest.raises(click.BadParameter, match=f"from 0 to {LARGEST_SEED}$"):
        seed.type.convert("-1", None, None)
