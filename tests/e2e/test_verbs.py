"""Every verb under every fault of its surroundings: one sentence, the right exit status, never a traceback.

Most of it runs in this process, for starting one takes far longer than a verb does.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from tests.e2e.conftest import Settings
from tests.support.servers import execute as run_sql
from worker.cli.commands import execute
from worker.core.keys import Keys
from worker.settings.environment import environment_with

pytestmark = pytest.mark.any_redis

REDIS_VERBS = [
    ["sample", "--timeout", "0.2"],
    ["stats"],
    ["check", "--timeout", "1"],
    ["weights", "show"],
    ["weights", "set", "voice=1"],
    ["weights", "remove"],
    ["weights", "history"],
    ["weights", "rollback"],
    ["weights", "preset", "list"],
    ["weights", "preset", "show", "night"],
    ["weights", "preset", "save", "night", "voice=1"],
    ["weights", "preset", "apply", "night"],
    ["weights", "preset", "remove", "night"],
    ["session", "list"],
    ["session", "show", "s"],
    ["session", "release", "s"],
    ["session", "end", "s"],
    ["feedback"],
    ["feedback", "--dead"],
    ["dead", "show"],
    ["dead", "requeue", "--all"],
    ["dead", "requeue", "1-1"],
]
POSTGRES_VERBS = [
    ["migrate"],
    ["catalog", "show"],
    ["weights", "preview", "voice=1"],
    ["weights", "preset", "show", "balanced"],
]
WATCHING = [["weights", "watch"], ["stats", "--watch"], ["watch"], ["watch", "--once", "--json"]]


class Ended(NamedTuple):
    status: int
    out: str
    complaint: str


Call = Callable[..., Ended]


@pytest.fixture
def call(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Run a verb to its end; whatever is no error of ours fails the test here."""
    monkeypatch.chdir(tmp_path)

    def run(words: list[str], more: Mapping[str, str] | None = None) -> Ended:
        for name, value in {**settings, **(more or {})}.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        status = execute(words)
        return Ended(status, *capsys.readouterr())

    return run


def sentence(ended: Ended) -> str:
    assert ended.complaint.startswith("sampling-worker: "), ended
    assert ended.complaint.count("\n") == 1, ended
    return ended.complaint


@pytest.mark.fault("a server is away, or refuses: each verb ends in a sentence that names it")
@pytest.mark.parametrize("words", [*REDIS_VERBS, *WATCHING], ids=" ".join)
def test_redis_that_is_away_is_named_and_is_status_3(call: Call, words: list[str]) -> None:
    ended = call(words, {"REDIS_URL": "redis://me:h1dden@127.0.0.1:1/0"})
    assert ended.status == 3
    assert sentence(ended) == (
        "sampling-worker: Redis at redis://me:***@127.0.0.1:1/0 is not reachable: connection refused; is it running?\n"
    )


@pytest.mark.fault("a server is away, or refuses: each verb ends in a sentence that names it")
@pytest.mark.parametrize("words", POSTGRES_VERBS, ids=" ".join)
def test_postgresql_that_is_away_is_named_and_is_status_3(call: Call, words: list[str]) -> None:
    ended = call(words, {"DATABASE_URL": "postgresql://me:h1dden@127.0.0.1:1/audio"})
    assert ended.status == 3
    assert sentence(ended).startswith(
        "sampling-worker: PostgreSQL at postgresql://me:***@127.0.0.1:1/audio is not reachable: "
    )
    assert "connection refused; is it running?" in ended.complaint


@pytest.mark.fault("a server is away, or refuses: each verb ends in a sentence that names it")
@pytest.mark.parametrize("words", [*REDIS_VERBS, *WATCHING], ids=" ".join)
def test_a_login_that_redis_refuses_is_status_2(call: Call, redis_url: str, words: list[str]) -> None:
    ended = call(words, {"REDIS_URL": redis_url.replace("redis://", "redis://me:h1dden@")})
    assert ended.status == 2
    assert sentence(ended).startswith("sampling-worker: Redis at redis://me:***@")
    assert "refused the login: wrong user name or password" in ended.complaint
    assert "h1dden" not in ended.complaint


@pytest.mark.fault("a server is away, or refuses: each verb ends in a sentence that names it")
@pytest.mark.parametrize("words", POSTGRES_VERBS, ids=" ".join)
@pytest.mark.parametrize("wrong", ["role", "database"])
def test_a_login_that_postgresql_refuses_is_status_2(
    call: Call, database_url: str, words: list[str], wrong: str
) -> None:
    url = database_url.replace("postgres@", "nobody@") if wrong == "role" else f"{database_url}_not_there"
    ended = call(words, {"DATABASE_URL": url})
    assert ended.status == 2
    assert " refused the login: " in sentence(ended)
    assert "does not exist" in ended.complaint


@pytest.fixture
def powerless_url(redis_url: str, prefix: str) -> Iterator[str]:
    """A user who may log in and do nothing."""
    client: Any = redis.Redis.from_url(redis_url)
    with client:
        client.execute_command("ACL", "SETUSER", prefix, "on", "nopass", "-@all", "+auth", "+select", "+client|setname")
        yield redis_url.replace("redis://", f"redis://{prefix}:x@")
        client.execute_command("ACL", "DELUSER", prefix)


@pytest.mark.fault("a server is away, or refuses: each verb ends in a sentence that names it")
@pytest.mark.parametrize("words", [*REDIS_VERBS, *WATCHING], ids=" ".join)
def test_what_redis_does_not_allow_is_status_1(call: Call, powerless_url: str, words: list[str]) -> None:
    ended = call(words, {"REDIS_URL": powerless_url})
    assert ended.status == 1
    assert " may not run " in sentence(ended)


@pytest.fixture
def powerless_database_url(database_url: str, prefix: str) -> Iterator[str]:
    run_sql(database_url, f"create role {prefix} login; revoke create on schema public from public")
    yield database_url.replace("postgres@", f"{prefix}@")
    run_sql(database_url, f"drop role {prefix}")


@pytest.mark.fault("a server is away, or refuses: each verb ends in a sentence that names it")
@pytest.mark.parametrize("words", POSTGRES_VERBS[1:], ids=" ".join)
def test_what_postgresql_does_not_allow_is_status_1(call: Call, powerless_database_url: str, words: list[str]) -> None:
    ended = call(words, {"DATABASE_URL": powerless_database_url})
    assert ended.status == 1
    assert "permission denied" in sentence(ended)


@pytest.mark.fault("a server is away, or refuses: each verb ends in a sentence that names it")
@pytest.mark.parametrize("words", POSTGRES_VERBS[1:], ids=" ".join)
def test_a_schema_that_is_not_there_is_status_1(call: Call, empty_database_url: str, words: list[str]) -> None:
    ended = call(words, {"DATABASE_URL": empty_database_url})
    assert ended.status == 1
    assert "`sampling-worker migrate` creates audio_chunks" in sentence(ended)


@pytest.mark.fault("values of other types, and garbage, under every key: verbs end in a sentence")
@pytest.mark.parametrize("kind", ["a text", "a list", "a stream"])
@pytest.mark.parametrize("words", REDIS_VERBS, ids=" ".join)
def test_other_types_and_garbage_under_every_key_are_told(
    call: Call, redis_url: str, prefix: str, words: list[str], kind: str
) -> None:
    keys = Keys(prefix)
    names = [
        keys.feedback,
        keys.dead_feedback,
        keys.requests,
        keys.dead,
        keys.stats,
        keys.weights(),
        keys.history,
        keys.returns,
        keys.presets,
    ]
    client: redis.Redis = redis.Redis.from_url(redis_url)
    with client:
        for name in [*names, keys.session("s"), keys.worker("w"), keys.weights("preset:night")]:
            if kind == "a text":
                client.set(name, b"\xff\x00{")
            elif kind == "a list":
                client.rpush(name, b"\xff")
            else:
                client.xadd(name, {b"\xff": b"\xff"})
    ended = call(words)
    assert ended.status in {0, 1, 2}
    assert all(line.startswith("sampling-worker: ") for line in ended.complaint.splitlines()), ended
    assert ended.out or ended.complaint


@pytest.mark.fault("a server is away, or refuses: each verb ends in a sentence that names it")
@pytest.mark.parametrize(
    "query", ["select id, category from nowhere", "select 1 / 0 as id, 'a' as category", "select 1"]
)
def test_a_statement_that_fails_is_no_server_that_is_away(call: Call, query: str) -> None:
    ended = call(["catalog", "show"], {"WORKER_CHUNKS_QUERY": query})
    assert (ended.status, ended.out) == (1, "")
    assert sentence(ended).startswith("sampling-worker: PostgreSQL at postgresql://")


# -- output that cannot be written ------------------------------------------------------------------------------


def shell(words: str, settings: Settings, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m worker {words}"],
        env=environment_with({**settings, "PYTHONPATH": str(Path.cwd())}),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.fault("a server is away, or refuses: each verb ends in a sentence that names it")
@pytest.mark.parametrize(
    ("redirection", "reason"), [(">/dev/full", "no space is left on its device"), (">&-", "it is closed")]
)
@pytest.mark.parametrize("words", ["--help", "--version", "catalog show", "weights show --json", "health --help"])
def test_output_that_cannot_be_written_is_one_sentence_and_status_1(
    settings: Settings, tmp_path: Path, words: str, redirection: str, reason: str
) -> None:
    ended = shell(f"{words} {redirection}", settings, tmp_path)
    assert (ended.returncode, ended.stderr) == (1, f"sampling-worker: the output cannot be written: {reason}\n")


@pytest.mark.fault("a server is away, or refuses: each verb ends in a sentence that names it")
@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("nonsense 2>&-", 2),
        ("nonsense 2>/dev/full", 2),
        ("weights show >&- 2>&-", 1),
        ("health <&- >&- 2>&-", 1),
        ("weights history --json | true", 0),
    ],
)
def test_where_nobody_can_be_told_the_status_tells(settings: Settings, tmp_path: Path, words: str, status: int) -> None:
    ended = shell(words, settings, tmp_path)
    assert (ended.returncode, ended.stderr) == (status, "")


@pytest.mark.parametrize(
    "words",
    ["catalog import -", "weights import -", "exclude add held --from -", "exclude remove held --from -", "report -"],
)
def test_standard_input_that_is_closed_is_one_sentence(settings: Settings, tmp_path: Path, words: str) -> None:
    ended = shell(f"{words} <&-", settings, tmp_path)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
    assert "standard input" in ended.stderr


# -- the words themselves ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["stats", "--clea"], "--clear"),
        (["stats", "--bogus"], "accepted: what `sampling-worker stats --help` lists"),
        (["sample", "--pint", "1"], "'--pin'"),
        (["sample", "--expires-at", "1"], "accepted: --field expires_at=VALUE"),
        (["report"], "accepted: what `sampling-worker report --help` lists"),
        (["wieghts"], "Did you mean 'weights'?"),
    ],
)
def test_words_that_are_not_known_are_answered_by_those_that_are(call: Call, words: list[str], complaint: str) -> None:
    ended = call(words)
    assert ended.status == 2
    assert complaint in sentence(ended)


def test_version_and_help_are_there_by_their_short_names(call: Call) -> None:
    version = call(["--version"])
    assert (version.status, version.out.split()[0]) == (0, "sampling-worker")
    for words in ([], ["weights"], ["weights", "set"], ["report"]):
        shown = call([*words, "-h"])
        assert (shown.status, shown.out) == (0, call([*words, "--help"]).out)
        assert not re.search(r"\w\.\.\.", re.sub("(URL=|FILE)[.]{3}", "", shown.out)), shown.out
        assert "<" not in shown.out.replace("<=", "")


def test_a_category_and_a_seed_are_options_of_sample(call: Call, redis_url: str, prefix: str) -> None:
    missing = call(["sample", "--category", "rock", "--seed", "7", "--timeout", "0.1"])
    assert missing.status == 1
    assert sentence(missing) == "sampling-worker: no result came within 0.1 s; is a worker running?\n"
    with redis.Redis.from_url(redis_url) as client:
        assert client.xlen(Keys(prefix).requests) == 0


# -- what is shown ----------------------------------------------------------------------------------------------


def test_the_library_is_shown_as_workers_read_it(call: Call, database_url: str) -> None:
    assert call(["catalog", "show"]).out == "0 chunks, by audio_chunks\n"
    run_sql(database_url, "insert into audio_chunks (category, status) values ('voice', 'READY'), ('voice', 'FAILED')")
    assert call(["catalog", "show"]).out.startswith("1 READY chunk, by audio_chunks\n")
    query = {"WORKER_CHUNKS_QUERY": "select 1 as id, 'rock' as category union all select 2, 'Hip Hop'"}
    shown = call(["catalog", "show"], query)
    assert shown.out.startswith("1 READY chunk, by WORKER_CHUNKS_QUERY\n")
    assert "1 READY chunk left out by the workers" in shown.out
    found = {
        (row["category"], row["status"], row["count"])
        for row in json.loads(call(["catalog", "show", "--json"], query).out)
    }
    assert found == {("rock", "READY", 1), (None, "IGNORED", 1)}


def test_the_library_is_shown_by_seconds_where_workers_go_by_seconds(call: Call, database_url: str) -> None:
    run_sql(
        database_url,
        "insert into audio_chunks (category, status, duration_s) values ('a', 'READY', 2), ('a', 'READY', null)",
    )
    unit = {"WORKER_WEIGHT_UNIT": "seconds"}
    assert "1 READY chunk left out by the workers" in call(["catalog", "show"], unit).out
    query = {**unit, "WORKER_CHUNKS_QUERY": "select id, category, duration_s from audio_chunks"}
    rows = json.loads(call(["catalog", "show", "--json"], query).out)
    assert [(row["status"], row["count"], row["duration_s"]) for row in rows] == [
        ("READY", 1, 2.0),
        ("IGNORED", 1, None),
    ]


def test_an_import_warns_where_workers_read_something_else(call: Call, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("path,category\na.flac,voice\n")
    ended = call(["catalog", "import", "a.csv"], {"WORKER_CHUNKS_QUERY": "select 1 as id, 'rock' as category"})
    assert ended.status == 0
    assert "1 chunk inserted" in ended.out
    warned, noted = ended.complaint.splitlines()
    assert warned.startswith("sampling-worker: WORKER_CHUNKS_QUERY is set: workers read what it selects")
    assert noted.startswith("sampling-worker: a.csv: 1 row has no duration_s")


def test_a_check_that_nobody_answers_says_that_nothing_was_tested(call: Call) -> None:
    ended = call(["check", "--timeout", "1"])
    assert (ended.status, ended.out) == (1, "")
    assert sentence(ended) == "sampling-worker: not tested: no result came within 1 s; is a worker running?\n"
    found = json.loads(call(["check", "--timeout", "1", "--json"]).out)
    assert (found["tested"], found["fits"], found["rounds"]) == (False, None, [])


def test_what_checks_have_counted_is_shown_on_demand(call: Call, redis_url: str, prefix: str) -> None:
    counts = {"requests:": 2, "chunks::voice": 3, "requests:check-a1": 5, "chunks:check-a1:voice": 7}
    with redis.Redis.from_url(redis_url) as client:
        client.hset(Keys(prefix).stats, mapping=counts)
    shown = call(["stats"]).out
    assert shown.startswith("2 requests, 0 of them errors, 3 chunks; since the last `stats --clear`\n")
    assert shown.endswith("left out: 1 dataset of `check`; --all shows them\n")
    assert call(["stats", "--all"]).out.startswith("7 requests, 0 of them errors, 10 chunks; since ")
    found = json.loads(call(["stats", "--json"]).out)
    assert (found["requests"], found["checks_left_out"]) == (2, 1)


def test_a_dead_letter_is_shown_as_a_block(call: Call, redis_url: str, prefix: str) -> None:
    keys = Keys(prefix)
    message = f"it was delivered 5 times: {'x' * 120} {keys.reply('broken')}"
    why = {"entry_id": "1-1", "error": "too_many_deliveries", "message": message, "deliveries": 5}
    with redis.Redis.from_url(redis_url) as client:
        seconds, _ = client.time()
        client.xadd(keys.dead, {"size": 4, "request_id": "r", **why}, id=f"{seconds - 200}000-0")
        client.xadd(keys.dead, {"a": "b"})
    blocks = call(["dead", "show"]).out.splitlines()
    assert blocks[0].endswith("just now  unreadable: of no worker")
    assert blocks[1] == "  request:  a=b"
    assert blocks[2] == f"{seconds - 200}000-0  3 min ago  too_many_deliveries"
    assert blocks[3:] == [
        f"  why:      {message}",
        "  request:  size=4  request_id=r",
        "  entry:    1-1, delivered 5 times",
        "2 dead letters",
    ]


def test_all_dead_letters_are_sent_again_page_by_page(call: Call, redis_url: str, prefix: str) -> None:
    keys = Keys(prefix)
    why = {"entry_id": "1-1", "error": "e", "message": "m", "deliveries": 5}
    with redis.Redis.from_url(redis_url) as client:
        for i in range(1, 251):
            client.xadd(keys.dead, {"size": i, **why} if i != 120 else {"a": "b"}, id=f"{i}-0")
        ended = call(["dead", "requeue", "--all"])
        assert (ended.status, ended.out) == (1, "249 requests sent again\n")
        assert sentence(ended) == (
            "sampling-worker: unreadable: 1 dead letter is of no worker and stays, such as 120-0\n"
        )
        assert (client.xlen(keys.requests), client.xlen(keys.dead)) == (249, 1)
