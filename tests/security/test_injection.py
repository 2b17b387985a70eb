"""Names and texts that anybody may have put anywhere: none forges a log line, commands a terminal, or gets lost.

That every event is one line of strict JSON, whatever its fields hold, is in tests/logs/test_emit.py.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.e2e.conftest import Run, Settings
from tests.support.command import RunningWorker
from tests.support.servers import execute
from tests.support.waiting import wait_until_sync
from worker.core.keys import CATALOG_CHANNEL, Keys

DEADLINE_S = 60.0
FORGED = "FORGED"
EVIL = (
    f"\n2026-01-01T00:00:00Z [info] {FORGED}",
    f'\r\n{{"event": "{FORGED}"}}',
    f"\x1b]0;{FORGED}\x07\x1b[2J\x1b[31m",
    f"\x00\x08\x7f\x9b31m{FORGED}",
    f"\u2028{FORGED}\u2029\u202e\ufeff\x85",
    f"[link=https://x]{FORGED}[/link]",
    f"%s {{0}} ${{IFS}} $({FORGED})",
)
FIELDS = ("request_id", "size", "category", "dataset", "preset", "session", "method", "seed", "reply_to", "encoding")


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def is_harmless(text: str) -> bool:
    """Check whether a text is lines of printable characters."""
    return all(line.isprintable() for line in text.split("\n"))


@pytest.fixture
def worker(settings: Settings, tmp_path: Path) -> Iterator[RunningWorker]:
    """A worker that logs all it can, for people: what is not escaped reaches their terminals."""
    # Its log holds no JSON, so that its readiness is told by its key.
    running = RunningWorker({**settings, "LOG_FORMAT": "console", "LOG_LEVEL": "debug"}, tmp_path)
    yield running.start()
    running.stop()


@pytest.mark.fault("texts that forge lines or command terminals, anywhere in Redis and PostgreSQL", "G09")
def test_no_name_reaches_a_log_as_more_than_text(
    worker: RunningWorker, client: Any, database_url: str, prefix: str
) -> None:
    keys = Keys(prefix)
    statements = ["alter table audio_chunks drop constraint audio_chunks_category_check"]
    for text in (f"$evil${text}$evil$" for text in EVIL if "\0" not in text):
        statements.append(f"insert into audio_chunks (category, status) values ({text}, 'READY')")  # noqa: S608
        statements.append(f"select pg_notify('{CATALOG_CHANNEL}', {text})")
    execute(database_url, ";".join(statements))
    pipeline = client.pipeline(transaction=False)
    for text in EVIL:
        for field in FIELDS:
            pipeline.xadd(keys.requests, {field: text})
        pipeline.xadd(keys.requests, {text: text})
        for value in (text, json.dumps({text: 1}), json.dumps({"voice": text}), f'{{"voice": 1}}{text}'):
            pipeline.set(keys.weights(), value)
            pipeline.publish(keys.weights(), text)
        pipeline.publish(f"{keys.weights()}:{text}", text)
    pipeline.execute()
    asked = len(EVIL) * (len(FIELDS) + 1)
    wait_until_sync(lambda: client.xlen(keys.results) == asked, timeout_s=DEADLINE_S, what="all are answered")
    wait_until_sync(lambda: "weights.rejected" in worker.log.read_text(), timeout_s=DEADLINE_S, what="the line")
    worker.stop()
    text = worker.log.read_text()
    assert "request.rejected" in text
    assert is_harmless(re.sub(r"\x1b\[\d*m", "", text)), "colours are ours; nothing else is"
    assert not [line for line in text.splitlines() if line.startswith(("2026-01-01", "{"))]
    begins = re.compile(r"\d\d:\d\d:\d\d |  ")
    assert all(map(begins.match, re.sub(r"\x1b\[\d*m", "", text).splitlines())), "with its time, or a traceback's space"


@pytest.mark.fault("texts that forge lines or command terminals, anywhere in Redis and PostgreSQL", "G09")
def test_no_name_reaches_a_terminal_as_more_than_text(client: Any, prefix: str, run: Run) -> None:
    keys = Keys(prefix)
    for text in EVIL:
        client.hset(keys.session(text), "requests:", 1)
        client.hset(keys.stats, mapping={f"requests:{text}": 1, f"errors:{text}:{text}": 1, f"chunks:{text}:{text}": 1})
        client.xadd(keys.history, {"dataset": text, "who": text, "reason": text, "version_after": text, "after": text})
        client.sadd(keys.presets, text)
    client.set(keys.weights(), json.dumps({EVIL[0]: 1}))
    for words in (
        ["session", "list"],
        ["stats"],
        ["weights", "show"],
        ["weights", "history"],
        ["weights", "preset", "list"],
    ):
        shown = run(*words, REDIS_URL=f"{run_url(client)}")
        refused = words == ["weights", "show"]  # the key holds what no worker draws under
        assert shown.returncode == int(refused), shown.stderr
        assert is_harmless(shown.stdout + shown.stderr)
        assert FORGED in shown.stdout
        assert len([line for line in shown.stdout.splitlines() if line.startswith(FORGED)]) == 0


def run_url(client: Any) -> str:
    """Name the server of a client."""
    place = client.connection_pool.connection_kwargs
    return f"redis://{place['host']}:{place['port']}/0"
