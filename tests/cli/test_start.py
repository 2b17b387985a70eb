"""Commands start at once: each loads only what it needs. What is counted are modules, never seconds."""

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
COUNT = """
import json, sys
from worker.__main__ import main
try:
    main()
finally:
    with open("modules", "w") as out:
        json.dump([len(sys.modules), sorted({name.partition(".")[0] for name in sys.modules})], out)
"""
MOST_OF_HELP, MOST_OF_REDIS, MOST_OF_POSTGRES = 170, 400, 330


def verbs(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from verbs(command, (*path, name))


def loaded(tmp_path: Path, *words: str) -> tuple[int, int, set[str]]:
    """Run a command; return its status, and how many and which modules it has loaded."""
    ended = subprocess.run(
        [sys.executable, "-c", COUNT, *words],
        env=environment_with({**NOWHERE, "PYTHONPATH": str(Path(__file__).parents[2])}),
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
        check=False,
    )
    count, names = json.loads((tmp_path / "modules").read_text())
    return ended.returncode, count, set(names)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--help"], 0),
        (["-h"], 0),
        (["statz"], 2),
        (["stats", "--bogus"], 2),
        (["sample", "--size", "x"], 2),
        *(([*words, "--help"], 0) for words in verbs(app) if words != ("health",)),
    ],
    ids=lambda case: " ".join(case) if isinstance(case, list) else "",
)
def test_help_and_typos_load_the_command_line_alone(tmp_path: Path, words: list[str], status: int) -> None:
    ended, count, names = loaded(tmp_path, *words)
    assert ended == status
    assert names.intersection([*HEAVY, *SERVERS]) == set()
    assert count <= MOST_OF_HELP


@pytest.mark.parametrize(
    "words",
    [
        ["weights", "show"],
        ["weights", "set", "voice=1"],
        ["weights", "remove"],
        ["weights", "watch"],
        ["weights", "history"],
        ["weights", "rollback"],
        ["weights", "preset", "list"],
        ["weights", "preset", "apply", "night"],
        ["stats"],
        ["session", "list"],
        ["session", "show", "s"],
        ["dead", "show"],
        ["dead", "requeue", "--all"],
    ],
    ids=" ".join,
)
def test_verbs_that_ask_redis_load_neither_numpy_nor_the_settings_model(tmp_path: Path, words: list[str]) -> None:
    status, count, names = loaded(tmp_path, *words)
    assert status == 3
    assert "redis" in names
    assert names.intersection(HEAVY) == set()
    assert count <= MOST_OF_REDIS


def test_a_verb_that_asks_postgresql_loads_no_redis(tmp_path: Path) -> None:
    status, count, names = loaded(tmp_path, "migrate")
    assert status == 3
    assert "asyncpg" in names
    assert names.intersection({*HEAVY, "redis"} - {"asyncpg"}) == set()
    assert count <= MOST_OF_POSTGRES


def test_a_verb_that_asks_nobody_loads_no_driver(tmp_path: Path) -> None:
    status, count, names = loaded(tmp_path, "schema")
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
