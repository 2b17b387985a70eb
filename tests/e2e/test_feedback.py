"""`sampling-worker feedback`, as an operator uses it: whose losses, how many, by whom, and what was refused."""

import asyncio
import json
from typing import Any

import pytest

from tests.e2e.conftest import Run, Settings
from tests.support.servers import connect
from worker.adapters.redis.client import connect as connect_worker
from worker.adapters.redis.feedback import read_reports
from worker.client import SampleClient
from worker.core.keys import Keys

pytestmark = pytest.mark.any_redis


@pytest.fixture
def reported(settings: Settings) -> Settings:
    """Four ranks have reported, one of them nonsense; and a stranger what is no report."""
    url, prefix = settings["REDIS_URL"], settings["WORKER_PREFIX"]
    with SampleClient(url, prefix=prefix) as client:
        for step in range(5):
            for rank in range(4):
                losses = {
                    "voice": {"sum": 10.0 + rank, "count": 10, "squares": 20.0},
                    "music": 900.0 if rank == 3 else 2,
                }
                client.report(losses, dataset="news", step=step, reporter=f"rank {rank}")
        client.report({"voice": 5}, kind="eval", reporter="evaluation")
    with connect(url) as server:
        server.xadd(Keys(prefix).feedback, {"losses": '{"voice": NaN}', "reporter": "bad\x1b[31m"})
    return settings


async def read_all(settings: Settings) -> None:
    """Read as a rule does, so that what is refused is moved."""
    async with connect_worker(settings["REDIS_URL"], timeout_s=5) as client:
        await read_reports(client, Keys(settings["WORKER_PREFIX"]), "")


def test_nothing_reported_is_said(run: Run) -> None:
    for words, said in ((("feedback",), "no report\n"), (("feedback", "--dead"), "no report was refused\n")):
        ended = run(*words)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, said, "")
    assert json.loads(run("feedback", "--json").stdout)["categories"] == {}
    assert json.loads(run("feedback", "--dead", "--json").stdout) == []


@pytest.mark.usefixtures("reported")
def test_losses_are_shown_by_category_and_by_reporter(run: Run) -> None:
    shown = run("feedback", COLUMNS="120").stdout
    lines = shown.splitlines()
    assert lines[0] == "train losses of 20 reports, of 22 in all"
    assert [line.split() for line in lines[3:5]] == [
        ["music", "2", "0.0", "20", "20", "4"],
        ["voice", "1.15", "0.0809", "200", "20", "4"],
    ]
    assert [line.split()[:3] for line in lines if line.startswith("rank")][:4] == [
        ["rank", str(rank), "5"] for rank in (3, 2, 1, 0)
    ]
    assert "rank 3 is outvoted on music: nobody else has seen such losses" in lines
    assert "1 report will be refused once a rule reads them" in lines
    assert run("feedback", "--dataset", "other").stdout.startswith("no report of train losses\n")
    assert run("feedback", "--kind", "eval").stdout.startswith("eval losses of 1 report, of 22 in all\n")
    assert run("feedback", "--dataset", "news", "--count", "3").stdout.startswith("train losses of 1 report, of 22")


@pytest.mark.usefixtures("reported")
def test_programs_get_the_same_as_json(run: Run) -> None:
    document: dict[str, Any] = json.loads(run("feedback", "--json").stdout)
    voice = document["categories"]["voice"]
    assert (voice["count"], voice["reports"], voice["reporters"]) == (200, 20, 4)
    assert voice["mean"] == pytest.approx(1.15)
    assert document["outvoted"] == {"rank 3": ["music"]}
    assert {name: document[name] for name in ("reports", "refused", "newest", "used", "invalid")} == {
        "reports": 22,
        "refused": 0,
        "newest": 22,
        "used": 20,
        "invalid": 1,
    }
    assert [(who, one["reports"], one["step"]) for who, one in document["reporters"].items()] == [
        (f"rank {rank}", 5, 4) for rank in (3, 2, 1, 0)
    ]


def test_refused_reports_are_shown_with_why(run: Run, reported: Settings) -> None:
    asyncio.run(read_all(reported))
    assert "1 report refused: sampling-worker feedback --dead" in run("feedback").stdout
    shown = run("feedback", "--dead").stdout.splitlines()
    assert shown[0].endswith("invalid_request")
    assert shown[1].startswith("  why:     the loss of 'voice' is nan; accepted: a number")
    assert shown[2] == r'  report:  losses={"voice": NaN}  reporter=bad\x1b[31m'
    assert shown[3] == "1 report refused"
    [letter] = json.loads(run("feedback", "--dead", "--json").stdout)
    assert letter["fields"]["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--kind", "test"), "--kind 'test' is not accepted; accepted: train, eval, score"),
        (("--dataset", "a b"), "--dataset 'a b' is not accepted"),
        (("--count", "0"), "--count"),
    ],
)
def test_words_that_are_not_accepted_are_named(run: Run, words: tuple[str, ...], sentence: str) -> None:
    ended = run("feedback", *words)
    assert ended.returncode == 2
    assert sentence in ended.stderr


def test_letters_of_strangers_are_shown_too(run: Run, settings: Settings) -> None:
    keys = Keys(settings["WORKER_PREFIX"])
    with connect(settings["REDIS_URL"]) as server:
        for words in ((b"\xff", b"\xff"), ("message", "x"), ("fields_left_out", "5")):
            server.execute_command("XADD", keys.dead_feedback, "*", *words)
            server.execute_command("XADD", keys.feedback, "*", *words)
    assert run("feedback", "--dead").stdout.count("unreadable: of no worker") == 3
    assert "3 reports will be refused" in run("feedback").stdout
