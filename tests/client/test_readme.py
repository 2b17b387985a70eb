"""The examples of README.md and of the client's page do what they say, as they are printed."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.examples import OF_TORCHDATA, README, ROOT, example, plain_examples
from tests.support.jobs import PROGRAMS, finish_job, start_quiet_job
from tests.support.pytorch import Program
from tests.support.servers import connect
from worker.adapters.redis.client_streams import KEPT_TTL_S
from worker.client import SampleClient
from worker.core.keys import Keys
from worker.core.weights.values import default_weights

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

pytestmark = pytest.mark.any_redis

EXAMPLES = plain_examples()
BACK_END = example("fastapi")
QUIET = (
    OF_TORCHDATA,
    "the weights are stored, but no worker is alive",  # the worker of these tests shows no state
)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_examples_run(number: int, redis_url: str, prefix: str, tmp_path: Path) -> None:
    program = tmp_path / "example.py"
    program.write_text(EXAMPLES[number])
    settings = {"REDIS_URL": redis_url, "WORKER_PREFIX": prefix, "PYTHONPATH": str(ROOT)}
    if "torch" in EXAMPLES[number]:
        words = (str(program), *QUIET)
        told = Program(PROGRAMS / "strict.py", *words, out=tmp_path / "out", settings=settings).finish()
    else:
        strict = ("-W", "error", *(word for said in QUIET for word in ("-W", f"ignore:{said}")))
        told = finish_job(start_quiet_job(*strict, str(program), settings=settings, cwd=tmp_path))
    assert len(told.splitlines()) >= 100
    with connect(redis_url) as server:
        left = server.keys(f"{prefix}:sample:asked:*") + server.keys(Keys(prefix).reply("*"))
        assert bool(left) == ("state_dict" in EXAMPLES[number])  # a state may be gone on from
        assert all(0 < server.ttl(key) <= KEPT_TTL_S for key in left)


def test_the_first_batch_is_ten_lines_away() -> None:
    first = README[README.index("## In a training loop") : README.index(EXAMPLES[0])] + EXAMPLES[0]
    assert "pip install" in first
    assert len([line for line in first.splitlines() if line.strip()]) <= 10


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 7


@pytest.fixture
def back_end(redis_url: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["TestClient"]:
    """The back end as it is printed, and a browser."""
    from fastapi.testclient import TestClient

    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("WORKER_PREFIX", prefix)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "back_end_of_readme.py").write_text(BACK_END)
    module = importlib.import_module("back_end_of_readme")
    with module.client, TestClient(module.app, headers={"X-User": "ann"}) as browser:
        yield browser
    del sys.modules["back_end_of_readme"]


@pytest.mark.filterwarnings("ignore::worker.errors.WeightsWarning")
def test_the_back_end_reads_sets_and_removes_weights(back_end: "TestClient", redis_url: str, prefix: str) -> None:
    first = back_end.get("/weights").json()
    assert (first["source"], first["weights"]) == ("default", default_weights().shares)
    put = back_end.put("/weights", params={"reason": "more speech"}, json={"voice": 3, "jazz": 1})
    assert (put.status_code, put.json()["after"]) == (200, {"jazz": 0.25, "voice": 0.75})
    shown = back_end.get("/weights").json()
    assert (shown["version"], shown["who"], shown["reason"]) == (put.json()["version"], "ann", "more speech")
    late = back_end.put("/weights", params={"reason": "", "seen": first["version"]}, json={"music": 1})
    assert (late.status_code, "is in force, set by ann" in late.json()["detail"][0]["msg"]) == (409, True)
    gone = back_end.delete("/weights", params={"reason": "enough"})
    assert (gone.status_code, gone.json()["version"]) == (200, first["version"])
    own = back_end.put("/weights", params={"reason": "", "dataset": "d"}, json={"music": 1}).json()
    assert back_end.get("/weights", params={"dataset": "d"}).json()["version"] == own["version"]
    with SampleClient(redis_url, prefix=prefix) as client:
        told = [(change.who, change.reason, change.dataset) for change in client.weights_history()]
    assert told == [("ann", "", "d"), ("ann", "enough", None), ("ann", "more speech", None)]


@pytest.mark.parametrize(
    ("body", "options", "sentence"),
    [
        ('{"voice": -1}', {}, "the weight of 'voice' is -1.0; accepted: finite numbers >= 0"),
        ('{"voice": NaN}', {}, "the weight of 'voice' is nan; accepted: finite numbers >= 0"),
        ('{"Voice": 1}', {}, "'Voice' is not a category name; accepted: [a-z0-9_-], 1 to 64 characters"),
        ('{"voice": true}', {}, "the weight of 'voice' is not a number; accepted: finite numbers >= 0"),
        ("[1]", {}, 'these are no weights; accepted: an object, such as {"voice": 0.7, "music": 0.2}'),
        ('{"voice": 0}', {}, "all weights are zero; accepted: at least one above zero"),
        ('{"voice": 1}', {"dataset": "a b"}, "dataset 'a b' is not accepted; accepted: "),
        ('{"voice": 1}', {"seen": "7"}, "if_version is '7'; accepted: 12 hex digits"),
    ],
)
def test_the_back_end_says_what_is_wrong(
    back_end: "TestClient", body: str, options: dict[str, str], sentence: str
) -> None:
    json_body = {"Content-Type": "application/json"}
    refused = back_end.put("/weights", params={"reason": "", **options}, content=body, headers=json_body)
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["msg"].startswith(sentence)


def test_the_back_end_is_short() -> None:
    code = [line for line in BACK_END.splitlines() if line.strip() and not line.startswith(("from ", "import "))]
    assert len(code) <= 20
