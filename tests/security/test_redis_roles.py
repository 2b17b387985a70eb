"""The roles of `deploy/redis.acl` and `deploy/sampler.sql`: each can do its work, and nothing that is not its work."""

import contextlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis.exceptions

from tests.support.command import RunningWorker, run_command
from tests.support.desks import running_desk
from tests.support.guarded import (
    DESK_READER,
    OWNER,
    TRAINING_JOB,
    WEIGHTS_WRITER,
    WORKER,
    Guarded,
    acl_text,
    as_role,
    guarded_redis,
    make_role,
)
from tests.support.servers import connect, execute, redis_binaries
from tests.support.waiting import wait_until_sync
from worker.adapters.redis.client import connect as connect_worker
from worker.adapters.redis.feedback import read_reports, trim_reports
from worker.cli.verbs.adjust import adjust
from worker.client import SampleClient
from worker.core.keys import Keys
from worker.core.wire.feedback import RefusedReport, Report
from worker.errors import RedisError

DEADLINE_S = 60.0
KEYS = Keys("audio")
_BINARIES = redis_binaries()
_ROLES = (WORKER, TRAINING_JOB, WEIGHTS_WRITER, DESK_READER)


@pytest.fixture(scope="module", params=_BINARIES)
def server(request: pytest.FixtureRequest) -> Iterator[Guarded]:
    with guarded_redis(_BINARIES[request.param]) as guarded:
        yield guarded


@pytest.fixture
def guarded(server: Guarded) -> Guarded:
    """Empty the server for a test."""
    with server.client(OWNER) as owner:
        owner.flushall()
        owner.acl_log_reset()
    return server


class Place:
    """Workers, training jobs and writers of weights, each under its own role."""

    def __init__(self, guarded: Guarded, database_url: str, folder: Path) -> None:
        self.guarded = guarded
        self._database_url = as_role(database_url)
        self._folder = folder
        self.worker = RunningWorker(
            {
                "REDIS_URL": guarded.url(WORKER),
                "DATABASE_URL": self._database_url,
                "WORKER_CLAIM_IDLE_S": "0.1",
                "WORKER_MAX_DELIVERIES": "2",
                "WORKER_STATS_INTERVAL_S": "0.2",
            },
            folder,
        )

    def run(self, role: str, *words: str) -> str:
        """Run a command under a role, and return what it prints."""
        settings = {"REDIS_URL": self.guarded.url(role), "DATABASE_URL": self._database_url}
        ended = run_command(*words, settings=settings, cwd=self._folder)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def sample(self, **fields: Any) -> dict[str, str]:
        """Ask for a sample as a training job does, and wait for it on its reply stream."""
        own = KEYS.reply("job")
        with self.guarded.client(TRAINING_JOB) as job:
            entry_id = job.xadd(KEYS.requests, {"size": 10, "reply_to": "job", **fields})
            job.xread({own: "$"}, block=1)
            found: dict[str, dict[str, str]] = {}

            def is_there() -> bool:
                found.update({fields["entry_id"]: fields for _, fields in job.xrange(own)})
                return entry_id in found

            wait_until_sync(is_there, timeout_s=DEADLINE_S, what="the result")
            return found[entry_id]


@pytest.fixture
def place(guarded: Guarded, database_url: str, tmp_path: Path) -> Iterator[Place]:
    make_role(database_url)
    many = "insert into audio_chunks (category, status) select {}, 'READY' from generate_series(1, 100) as i"
    execute(database_url, many.format("(array['voice', 'music'])[1 + i % 2]"))
    execute(database_url, many.format("'c' || i"))
    place = Place(guarded, database_url, tmp_path)
    place.worker.start().wait_ready()
    yield place
    place.worker.stop()


def test_everything_that_is_served_is_served_under_the_roles(place: Place, database_url: str) -> None:
    """Nobody is denied anything on the way: ACL LOG stays empty."""
    assert json.loads(place.run(TRAINING_JOB, "sample", "--json"))["status"] == "ok"
    place.run(WEIGHTS_WRITER, "weights", "set", "music=1")
    assert place.sample()["counts"] == '{"music":10}'
    with SampleClient(place.guarded.url(TRAINING_JOB)) as client:
        assert client.sample(size=10).counts == {"music": 10}
        assert [sample.counts for sample in itertools.islice(client.stream(size=3, prefetch=2), 3)] == [
            {"music": 3}
        ] * 3
    with place.guarded.client(WEIGHTS_WRITER) as writer:
        set_weights(writer, "d", {"voice": 1})
        assert place.sample(dataset="d")["weights_source"] == "dataset"
        assert place.sample(session="s", pin=1)["weights_source"] == "session"
        place.run(WEIGHTS_WRITER, "session", "schedule", "s", "0 voice=1")
        assert place.sample(session="s", pin=1)["counts"] == '{"voice":10}'
        place.run(WEIGHTS_WRITER, "session", "release", "s")
        with SampleClient(place.guarded.url(TRAINING_JOB)) as client:
            client.release("s")
        assert place.sample(session="s", method="epoch")["passes"] == '{"music":{"1":10}}'
        place.run(WEIGHTS_WRITER, "exclude", "add", "x", "1")
        place.run(WEIGHTS_WRITER, "exclude", "list")
        assert "chunk_ids" in place.sample(exclude="x")
        place.run(WEIGHTS_WRITER, "exclude", "clear", "x")
        assert place.sample(exclude="x")["error"] == "unknown_exclude"
        set_weights(writer, None, {f"c{number}": 1 for number in range(1, 101)})
        assert place.sample(probabilities=1)["weights_source"] == "redis"
        assert [json.loads(entry["after"]) for _, entry in writer.xrange(KEYS.history)] == [{"music": 1.0}]
    execute(database_url, "update audio_chunks set status = 'FAILED' where category = 'c1'")
    wait_until_sync(lambda: place.worker.events("catalog.changed"), timeout_s=DEADLINE_S, what="the change is heard of")
    assert json.loads(place.run(WEIGHTS_WRITER, "stats", "--json"))["requests"] >= 10
    assert json.loads(place.run(WEIGHTS_WRITER, "weights", "show", "--json"))["workers"]
    assert place.worker.stop() == 0
    assert not place.worker.events("redis.lost")
    assert place.guarded.denials() == []


def test_a_desk_works_under_its_roles_and_is_denied_nothing(place: Place, tmp_path: Path) -> None:
    """One that changes weights as weights-writer, one that only shows as desk-reader."""
    place.sample(session="s", method="epoch")
    urls = {role: {"REDIS_URL": place.guarded.url(role)} for role in (WEIGHTS_WRITER, DESK_READER)}
    with (
        running_desk(urls[WEIGHTS_WRITER], tmp_path) as desk,
        running_desk(urls[DESK_READER], tmp_path, "--read-only") as reader,
    ):
        made = desk.post("/api/weights", {"weights": {"music": 3, "voice": 1}, "for_s": 600}).document
        assert (made["applied"]["workers"], made["warnings"]) == (1, [])
        assert desk.post("/api/rollback", {"reason": "too loud"}).status == 200
        assert desk.post("/api/presets", {"name": "night", "weights": {"voice": 1}}).status == 200
        assert desk.post("/api/presets/apply", {"name": "night"}).status == 200
        for one in (desk, reader):
            view = one.get("/api/view").document
            assert (view["redis"]["ok"], view["problems"], len(view["workers"])) == (True, [], 1)
            assert one.post("/api/preview", {"weights": {"voice": 1}}).document["categories"][0]["ready"] == 50
            for path in ("/api/history", "/api/categories?q=v", "/api/phases", "/api/session?name=s"):
                assert one.get(path).status == 200, path
    assert place.guarded.denials() == []


def test_weights_are_moved_under_the_writers_role_and_give_way_under_the_workers(place: Place) -> None:
    """Every verb that moves weights, and the returns of a key that was there and of one that was not."""
    for words in (
        ("set", "voice=1", "--wait"),
        ("set", "music=1", "--for", "0.1s"),
        ("set", "music=1", "--for", "0.1s", "--dataset", "d"),
        ("preset", "save", "night", "voice=1"),
        ("preset", "list"),
        ("preset", "show", "night"),
        ("preset", "apply", "night", "--dataset", "e"),
        ("preset", "remove", "night"),
        ("rollback", "--dataset", "e"),
        ("history",),
    ):
        place.run(WEIGHTS_WRITER, "weights", *words)
    with place.guarded.client(WEIGHTS_WRITER) as writer:
        wait_until_sync(lambda: not writer.hgetall(KEYS.returns), timeout_s=DEADLINE_S, what="both have given way")
        assert writer.get(KEYS.weights()) == '{"voice": 1.0}'
        assert writer.get(KEYS.weights("d")) is None
    assert not place.worker.events("weights.revert_refused")
    assert place.guarded.denials() == []


def test_weights_are_moved_from_python_under_the_writers_role_and_not_under_a_jobs(place: Place) -> None:
    with SampleClient(place.guarded.url(WEIGHTS_WRITER), prefix=KEYS.prefix) as writer:
        change = writer.set_weights({"voice": 1}, reason="why")
        assert (change.applied_by, change.missing, change.warnings) == ((place.worker.consumer,), (), ())
        wait_until_sync(
            lambda: place.worker.events("weights.changed"), timeout_s=DEADLINE_S, what="the change is logged"
        )
        assert place.worker.events("weights.changed")[-1]["reason"] == "why"
        assert writer.weights().workers == (place.worker.consumer,)
        writer.set_weights({"music": 1}, "d", for_s=60)
        writer.set_weights({"music": 1}, preset="night")
        assert "night" in writer.presets()
        assert len(writer.weights_history()) == 3
        writer.remove_weights(preset="night")
        writer.roll_back_weights(dataset="d")
    assert place.guarded.denials() == []
    with SampleClient(place.guarded.url(TRAINING_JOB), prefix=KEYS.prefix) as job:
        assert job.sample(4).counts
        for refused in (job.weights, job.presets, job.weights_history, lambda: job.set_weights({"voice": 1})):
            with pytest.raises(RedisError, match=r"accepted: the rights of deploy/redis\.acl"):
                refused()
        assert job.sample(4).counts


async def test_losses_are_reported_by_jobs_read_by_workers_and_seen_by_people(guarded: Guarded, tmp_path: Path) -> None:
    with SampleClient(guarded.url(TRAINING_JOB)) as job:
        job.report({"voice": 1.5}, step=1)
    with guarded.client(TRAINING_JOB) as stranger:
        stranger.xadd(KEYS.feedback, {"losses": "x"})
    async with connect_worker(guarded.url(WORKER), timeout_s=5) as worker:
        reports, _ = await read_reports(worker, KEYS, "")
        assert [type(one) for one in reports] == [Report, RefusedReport]
        assert await trim_reports(worker, KEYS, most_bytes=1) == 1
    for role in (WEIGHTS_WRITER, DESK_READER):
        for words, said in ((["feedback"], "voice"), (["feedback", "--dead"], "which is no JSON")):
            ended = run_command(*words, settings={"REDIS_URL": guarded.url(role)}, cwd=tmp_path)
            assert said in ended.stdout, ended.stderr
    assert guarded.denials() == []


def test_who_scales_workers_needs_no_more_than_the_reader(guarded: Guarded) -> None:
    """The overlay keda has KEDA send XLEN under this role."""
    with guarded.client(OWNER) as owner:
        owner.xadd(KEYS.requests, {"size": 1})
    with guarded.client(DESK_READER) as reader:
        assert (reader.ping(), reader.xlen(KEYS.requests), reader.xlen(KEYS.dead_feedback)) == (True, 1, 0)
    assert guarded.denials() == []


@pytest.mark.parametrize("role", [DESK_READER, WEIGHTS_WRITER])
def test_who_looks_sees_everything_and_is_denied_nothing(place: Place, role: str) -> None:
    place.run(WEIGHTS_WRITER, "weights", "set", "voice=1", "--for", "1h")
    place.run(WEIGHTS_WRITER, "weights", "preset", "save", "night", "voice=1")
    place.sample(session="s", pin=1)
    with place.guarded.client(OWNER) as owner:
        owner.hset(KEYS.adjust, "", '{"rule":"cooldown","parameters":{"over":5}}')
        owner.hset(KEYS.adjust_state, "", '{"rule_mark":"of an earlier rule"}')
    view = json.loads(place.run(role, "watch", "--once", "--json"))
    assert (view["rule"]["name"], view["rule"]["status"]) == ("cooldown", "frozen")
    assert (view["problems"], view["redis"]["ok"], view["applied"]["workers"]) == ([], True, 1)
    assert (view["weights"]["set_by"]["reason"], view["weights"]["then"]) == ("", {"version": None, "shares": None})
    assert "night" in {preset["name"] for preset in view["presets"]}
    assert [(mark["dataset"], mark["entry"] is not None) for mark in view["marks"]] == [(None, True)]
    assert view["backlog"]["lag"] == 0
    assert place.guarded.denials() == []


LOOKS = (("show",), ("show", "--dataset", "d"), ("preview",), ("preview", "cooldown", "over=9"), ("history",))
"""Verbs of `adjust` that only read."""

ORDERS = (
    ("set", "cooldown", "over=1e6", "--mode", "on", "--dataset", "d"),
    ("freeze", "--dataset", "d"),
    ("resume", "--dataset", "d"),
    ("rollback", "--dataset", "d"),
    ("off",),
)
"""Those that change something."""


def test_rules_are_looked_at_under_both_roles_and_told_something_under_the_writers(place: Place) -> None:
    """Every verb, beside a worker that moves a shadow by what was served: nobody is denied what is its work."""
    assert {words[0] for words in (*LOOKS, *ORDERS)} == adjust.commands.keys()
    place.sample()
    place.run(WEIGHTS_WRITER, "adjust", "set", "cooldown", "over=1e6", "--mode", "shadow")

    def has_stepped() -> bool:
        [rule] = json.loads(place.run(DESK_READER, "adjust", "show", "--json"))
        return bool(rule.get("step"))

    wait_until_sync(has_stepped, timeout_s=DEADLINE_S, what="the shadow makes a step")
    for role, words in itertools.product((DESK_READER, WEIGHTS_WRITER), LOOKS):
        place.run(role, "adjust", *words)
    for words in ORDERS:
        place.run(WEIGHTS_WRITER, "adjust", *words)
    assert not place.worker.events("adjust.refused")
    assert place.guarded.denials() == []
    for words in ORDERS:
        with pytest.raises(AssertionError, match="may not run EVAL"):
            place.run(DESK_READER, "adjust", *words)


def set_weights(writer: Any, dataset: str | None, weights: dict[str, int]) -> None:
    """Change weights as a program in any language does."""
    key = KEYS.weights(dataset)
    writer.set(key, json.dumps(weights))
    writer.publish(key, "changed")


@pytest.mark.fault("workers crash under the role of least rights")
def test_what_crashes_leave_behind_is_dealt_with_under_the_worker_s_role(place: Place) -> None:
    """Take-overs, dead letters, names that are forgotten and groups that are made again take commands of their own."""
    with place.guarded.client(OWNER) as owner, place.guarded.client(TRAINING_JOB) as job:
        place.worker.kill()
        left = job.xadd(KEYS.requests, {"size": 1})
        owner.xreadgroup("samplers", "somebody", {KEYS.requests: ">"})
        owner.set(KEYS.reply("taken"), "not a stream")
        hopeless = job.xadd(KEYS.requests, {"reply_to": "taken"})
        place.worker.start().wait_ready()
        wait_until_sync(lambda: owner.xlen(KEYS.dead) == 1, timeout_s=DEADLINE_S, what="the hopeless one is given up")
        assert owner.xrange(KEYS.dead)[0][1]["entry_id"] == hopeless
        assert [entry["entry_id"] for _, entry in job.xrange(KEYS.results)] == [left]
        wait_until_sync(
            lambda: "somebody" not in {one["name"] for one in owner.xinfo_consumers(KEYS.requests, "samplers")},
            timeout_s=DEADLINE_S,
            what="who left it is forgotten",
        )
        owner.xgroup_destroy(KEYS.requests, "samplers")
        later = job.xadd(KEYS.requests, {"size": 1})
        wait_until_sync(lambda: job.xlen(KEYS.results) == 2, timeout_s=DEADLINE_S, what="the group is made again")
        assert job.xrange(KEYS.results)[1][1]["entry_id"] == later
    place.worker.stop()
    assert place.guarded.denials() == []


# -- what each role has no business with -----------------------------------------------------------------------------

FOR_NOBODY = (
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("KEYS", "*"),
    ("CONFIG", "GET", "requirepass"),
    ("CONFIG", "SET", "maxmemory", "1"),
    ("ACL", "LIST"),
    ("ACL", "SETUSER", "worker", "+@all"),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("CLIENT", "LIST"),
    ("CLIENT", "PAUSE", "1"),
    ("SHUTDOWN",),
    ("MONITOR",),
    ("SLAVEOF", "no", "one"),
    ("SCRIPT", "FLUSH"),
    ("FUNCTION", "LIST"),
    ("MODULE", "LIST"),
    ("SAVE",),
    ("INFO",),
    ("RANDOMKEY",),
    ("SUBSCRIBE", "news"),
    ("PSUBSCRIBE", "*"),
    ("PUBLISH", "news", "x"),
    ("GET", "other"),
    ("SET", "other", "x"),
    ("EVAL", "return 1", "1", "other"),
    ("EVAL", "return redis.call('GET', 'other')", "0"),
    ("DEL", KEYS.requests),
    ("SET", KEYS.requests, "x"),
    ("RENAME", KEYS.requests, "other"),
    ("EXPIRE", KEYS.requests, "1"),
    ("XGROUP", "DESTROY", KEYS.requests, "samplers"),
    ("XGROUP", "SETID", KEYS.requests, "samplers", "$"),
    ("XADD", "audio:sample:other", "*", "a", "b"),
    ("DEL", KEYS.stats),
    ("HSET", KEYS.stats, "requests:", "0"),
    ("DEL", KEYS.dead),
    ("DEL", KEYS.feedback),
    ("DEL", KEYS.dead_feedback),
    ("XTRIM", KEYS.dead_feedback, "MAXLEN", "0"),
    ("DEL", KEYS.history),
    ("XTRIM", KEYS.history, "MAXLEN", "0"),
    ("DEL", KEYS.session("s")),
)
"""What none of them may do."""

FOR_OTHERS = {
    WORKER: (
        ("XADD", KEYS.requests, "*", "size", "1"),
        ("HSET", KEYS.returns, "", "{}"),
        ("DEL", KEYS.returns),
        ("XRANGE", KEYS.history, "-", "+"),
        ("XADD", KEYS.feedback, "*", "losses", "{}"),
        ("SMEMBERS", KEYS.presets),
        ("EVAL", "return redis.call('DEL', KEYS[1])", "1", KEYS.stats),
        ("EVAL", "return redis.call('HSET', KEYS[1], '', '{}')", "1", KEYS.returns),
        ("DEL", KEYS.failure("1-1")),
        ("DEL", KEYS.results),
        ("DEL", KEYS.reply("job")),
        ("SCAN", "0"),
    ),
    TRAINING_JOB: (
        ("XREADGROUP", "GROUP", "samplers", "me", "COUNT", "1", "STREAMS", KEYS.requests, ">"),
        ("XREAD", "STREAMS", KEYS.requests, "0"),
        ("XGROUP", "CREATE", KEYS.requests, "mine", "0"),
        ("XADD", KEYS.results, "*", "status", "ok"),
        ("XADD", KEYS.reply("job"), "*", "status", "ok"),
        ("DEL", KEYS.results),
        ("XTRIM", KEYS.results, "MAXLEN", "0"),
        ("XRANGE", KEYS.dead, "-", "+"),
        ("XRANGE", KEYS.feedback, "-", "+"),
        ("XREAD", "STREAMS", KEYS.feedback, "0"),
        ("XTRIM", KEYS.feedback, "MAXLEN", "0"),
        ("XDEL", KEYS.feedback, "1-1"),
        ("XADD", KEYS.dead_feedback, "*", "a", "b"),
        ("GET", KEYS.weights()),
        ("SET", KEYS.weights(), "{}"),
        ("PUBLISH", KEYS.weights(), "x"),
        ("EVAL", "return redis.call('SET', ARGV[1], '{}')", "0", KEYS.weights()),
        ("EVAL", "return redis.call('XADD', KEYS[1], '*', 'status', 'ok')", "1", KEYS.reply("job")),
        ("XADD", KEYS.history, "*", "a", "b"),
        ("HGETALL", KEYS.returns),
        ("SMEMBERS", KEYS.presets),
        ("HGETALL", KEYS.stats),
        ("HGETALL", KEYS.session("s")),
        ("GET", KEYS.worker("w-1")),
        ("SCAN", "0"),
        ("PSUBSCRIBE", KEYS.weights_pattern),
    ),
    WEIGHTS_WRITER: (
        ("XADD", KEYS.requests, "*", "size", "1"),
        ("XRANGE", KEYS.requests, "-", "+"),
        ("XRANGE", KEYS.results, "-", "+"),
        ("XREAD", "STREAMS", KEYS.reply("job"), "0"),
        ("XRANGE", KEYS.dead, "-", "+"),
        ("EVAL", "return redis.call('DEL', KEYS[1])", "1", KEYS.stats),
        ("XREADGROUP", "GROUP", "samplers", "me", "COUNT", "1", "STREAMS", KEYS.requests, ">"),
        ("DEL", KEYS.session("s")),
        ("SET", KEYS.worker("w-1"), "{}"),
        ("XADD", KEYS.feedback, "*", "losses", "{}"),
        ("DEL", KEYS.worker("w-1")),
    ),
    DESK_READER: (
        ("XADD", KEYS.requests, "*", "size", "1"),
        ("XRANGE", KEYS.requests, "-", "+"),
        ("XREADGROUP", "GROUP", "samplers", "me", "COUNT", "1", "STREAMS", KEYS.requests, ">"),
        ("XACK", KEYS.requests, "samplers", "1-1"),
        ("XRANGE", KEYS.results, "-", "+"),
        ("XREAD", "STREAMS", KEYS.reply("job"), "0"),
        ("XRANGE", KEYS.dead, "-", "+"),
        ("SET", KEYS.weights(), "{}"),
        ("DEL", KEYS.weights("d")),
        ("PUBLISH", KEYS.weights(), "x"),
        ("PSUBSCRIBE", KEYS.weights_pattern),
        ("EVAL", "return redis.call('GET', KEYS[1])", "1", KEYS.weights()),
        ("XADD", KEYS.history, "*", "a", "b"),
        ("HSET", KEYS.returns, "", "{}"),
        ("HSET", KEYS.adjust, "", "{}"),
        ("HDEL", KEYS.adjust_state, ""),
        ("SADD", KEYS.presets, "p"),
        ("HDEL", KEYS.session("s"), "weights"),
        ("EXPIRE", KEYS.session("s"), "1"),
        ("SET", KEYS.worker("w-1"), "{}"),
        ("GET", KEYS.failure("1-1")),
        ("HVALS", KEYS.asked("job")),
        ("XADD", KEYS.feedback, "*", "losses", "{}"),
        ("XDEL", KEYS.feedback, "1-1"),
    ),
}
"""What one of them may not do, though others may."""


@pytest.mark.parametrize("role", _ROLES)
def test_what_is_not_a_role_s_work_is_denied(guarded: Guarded, role: str) -> None:
    with guarded.client(OWNER) as owner:
        owner.xgroup_create(KEYS.requests, "samplers", mkstream=True)
        before = owner.dbsize()
    allowed = []
    with guarded.client(role) as client:
        for words in (*FOR_NOBODY, *FOR_OTHERS[role]):
            with contextlib.suppress(redis.exceptions.ResponseError):
                client.execute_command(*words)
            if not guarded.denials():
                allowed.append(words)
    with guarded.client(OWNER) as owner:
        assert not allowed, "\n".join(map(str, allowed))
        assert owner.dbsize() == before


@pytest.mark.parametrize("role", _ROLES)
def test_no_role_runs_what_the_server_calls_dangerous(guarded: Guarded, role: str) -> None:
    with guarded.client(OWNER) as owner:
        dangerous = sorted({*owner.acl_cat("dangerous"), *owner.acl_cat("admin")})
        denied = {name: _is_denied(owner, role, name) for name in dangerous}
    assert denied.keys() > {"flushall", "config|set", "acl|setuser", "keys"}
    assert [name for name, is_denied in denied.items() if not is_denied] == []


def _is_denied(owner: Any, role: str, name: str) -> bool:
    """Ask the server about a command, or part of one, with as few arguments as it takes."""
    (about,) = owner.execute_command("COMMAND", "INFO", name).values()
    words = name.split("|")
    arguments = [KEYS.requests] * (abs(about["arity"]) - len(words))
    answer = owner.execute_command("ACL DRYRUN", role, *words, *arguments)
    return "no permissions to run" in answer


def test_nobody_comes_in_without_a_password(guarded: Guarded) -> None:
    with connect(guarded.server.url) as anonymous, pytest.raises(redis.exceptions.AuthenticationError):
        anonymous.ping()


def test_a_job_can_be_kept_to_reply_streams_of_its_own(guarded: Guarded) -> None:
    """deploy/README.md says how: repeat the role's line, with the start of the names that the job uses."""
    line = next(line for line in acl_text().splitlines() if line.startswith(f"user {TRAINING_JOB} "))
    rules = line.replace(f"{KEYS.results}:*", f"{KEYS.results}:job-a-*").split("(")
    first, *selectors = rules
    with guarded.client(OWNER) as owner:
        owner.execute_command(
            "ACL SETUSER", "job-a", "reset", *first.split()[2:], ">job-a", *(f"({part.strip()}" for part in selectors)
        )
        owner.xadd(KEYS.reply("job-a-1"), {"status": "ok"})
        owner.xadd(KEYS.reply("job-b-1"), {"status": "ok"})
    with guarded.client("job-a") as job:
        assert job.xlen(KEYS.reply("job-a-1")) == 1
        assert job.xadd(KEYS.requests, {"size": 1})
        for denied in (job.xlen, job.delete):
            with pytest.raises(redis.exceptions.NoPermissionError):
                denied(KEYS.reply("job-b-1"))


def test_a_role_that_may_not_ask_is_told_so_and_not_what_failed_afterwards(guarded: Guarded, tmp_path: Path) -> None:
    ended = run_command("sample", settings={"REDIS_URL": guarded.url(WEIGHTS_WRITER)}, cwd=tmp_path)
    assert ended.returncode == 1
    assert "refused" in ended.stderr
    assert "removing the reply stream" not in ended.stderr
    guarded.denials()
