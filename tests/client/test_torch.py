"""A stream of samples in PyTorch's DataLoader: any number of workers and ranks, used again and again."""

import json
import os
import pickle
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.client.conftest import MakeClient
from tests.support.jobs import ENDS_S, PROGRAMS, keys_of_clients
from tests.support.pytorch import Program
from tests.support.servers import connect
from tests.support.waiting import wait_until_sync
from worker.adapters.redis.client_streams import KEPT_TTL_S
from worker.client import Sample, SampleClient, SampleError
from worker.core.keys import Keys

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from worker.client.torch import ChunkIdStream

pytestmark = pytest.mark.any_redis

Batches = list[dict[str, Any]]


def loader_of(stream: "ChunkIdStream", **options: Any) -> "DataLoader[Sample]":
    from torch.utils.data import DataLoader

    return DataLoader(stream, batch_size=None, **options)


@pytest.mark.usefixtures("worker")
def test_a_loader_hands_out_samples(client: SampleClient, redis_url: str, prefix: str) -> None:
    from worker.client.torch import ChunkIdStream

    stream = ChunkIdStream(5, batches=12, client=client, category="music")
    samples = list(loader_of(stream))
    assert len(samples) == len(loader_of(stream)) == 12
    assert all(sample.counts == {"music": 5} and len(sample.weights_version) == 12 for sample in samples)
    assert keys_of_clients(redis_url, prefix) == []


@pytest.mark.usefixtures("worker")
def test_a_loader_without_end_goes_on(client: SampleClient, redis_url: str, prefix: str) -> None:
    from worker.client.torch import ChunkIdStream

    stream = ChunkIdStream(5, client=client)
    found = [sample.request_id for sample, _ in zip(loader_of(stream), range(50), strict=False)]
    assert len(set(found)) == 50
    with pytest.raises(TypeError, match="accepted: batches="):
        len(stream)
    assert keys_of_clients(redis_url, prefix) == []


@pytest.mark.usefixtures("worker")
def test_an_iteration_goes_on_from_a_state(client: SampleClient, redis_url: str, prefix: str) -> None:
    from worker.client.torch import ChunkIdStream

    stream = ChunkIdStream(5, name="run", batches=10, client=client)
    iteration = iter(stream)
    before = [next(iteration) for _ in range(4)]
    state = stream.state_dict()
    ahead = [next(iteration) for _ in range(3)]
    del iteration
    resumed = pickle.loads(pickle.dumps(stream))  # noqa: S301 - its own bytes
    resumed.load_state_dict(state)
    after = list(resumed)
    assert [sample.request_id for sample in after[:3]] == [sample.request_id for sample in ahead]
    assert all(np.array_equal(a.chunk_ids, b.chunk_ids) for a, b in zip(ahead, after, strict=False))
    assert len({sample.entry_id for sample in before + after}) == len(before + after) == 10
    assert not {sample.request_id for sample in stream} & {sample.request_id for sample in before + after}
    with connect(redis_url) as server:
        left = keys_of_clients(redis_url, prefix)
        assert len(left) == 4
        assert all(KEPT_TTL_S - 60 < server.ttl(key) <= KEPT_TTL_S for key in left)  # an older state may ask for them
        assert server.hget(Keys(prefix).stats, "requests:") == b"20"


@pytest.mark.usefixtures("worker")
def test_a_launcher_says_which_rank_it_is(client: SampleClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from worker.client.torch import ChunkIdStream

    stream = ChunkIdStream(5, name="run", batches=1, client=client)
    for rank, told in (("3", "3"), ("", "0"), ("x", "0")):
        monkeypatch.setenv("RANK", rank)
        [sample] = stream
        assert sample.request_id.startswith(f"run-{told}-0-")


@pytest.mark.usefixtures("worker")
def test_an_error_comes_through_the_loader(client: SampleClient) -> None:
    from worker.client.torch import ChunkIdStream

    with pytest.raises(SampleError, match="unknown_category"):
        list(loader_of(ChunkIdStream(client=client, category="unheard-of")))
    with pytest.raises(RuntimeError, match="unknown_category: "):  # what torch makes of it in a worker process
        list(loader_of(ChunkIdStream(client=client, category="unheard-of"), num_workers=1))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"name": "a b"}, ValueError, "name is 'a b'; accepted: 1 to 32 of"),
        ({"name": "x" * 33}, ValueError, "accepted: 1 to 32 of"),
        ({"batches": 0}, ValueError, "batches is 0; accepted: a whole number from 1"),
        ({"size": 0}, ValueError, "size is '0'; accepted"),
        ({"request_id": "a"}, ValueError, "accepted: one of them"),
        ({"sise": 1}, TypeError, "sise is not an argument"),
    ],
)
def test_wrong_arguments_are_refused_at_once(
    make_client: MakeClient, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    from worker.client.torch import ChunkIdStream

    with pytest.raises(error, match=words):
        ChunkIdStream(client=make_client(), **options)


def passes_of(batches: Batches) -> dict[tuple[str, int], list[int]]:
    """Sort chunks by category and pass; within a category those of a pass come before those of the next."""
    found: dict[tuple[str, int], list[int]] = {}
    names = {1: "voice", 2: "music", 3: "documentary"}
    for batch in batches:
        for category, spans in batch["passes"].items():
            own = iter([chunk for chunk in batch["ids"] if names[chunk // 1000] == category])
            for number, count in spans.items():
                found.setdefault((category, int(number)), []).extend(next(own) for _ in range(count))
    return found


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(("how", "ranks", "rounds"), [("fork", 2, 2), ("spawn", 1, 1)])
def test_ranks_and_workers_each_ask_for_themselves_again_and_again(
    redis_url: str, prefix: str, tmp_path: Path, how: str, ranks: int, rounds: int
) -> None:
    words = (redis_url, prefix, how, str(tmp_path / "store"), str(rounds))
    settings = [{"RANK": str(rank), "WORLD_SIZE": str(ranks)} for rank in range(ranks)]
    program = PROGRAMS / "loader.py"
    jobs = [Program(program, *words, out=tmp_path / own["RANK"], settings=own) for own in settings]
    found = [json.loads(job.finish()) for job in jobs]
    batches: Batches = []
    for one in found:
        assert [len(batches) for batches in (*one["whole"], one["half"])] == [7] * rounds + [3]
        assert (one["length"], one["left"]) == (7, [])
        batches += sum(one["whole"], one["half"])
    asked = ranks * (7 * rounds + 3)
    assert len({batch["entry"] for batch in batches}) == len({batch["request"] for batch in batches}) == asked
    workers = Counter("-".join(batch["request"].split("-")[:3]) for one in found for batch in one["whole"][0])
    assert workers == {f"run-{rank}-{worker}": 4 - worker for rank in range(ranks) for worker in range(2)}
    assert {count for chunks in passes_of(batches).values() for count in Counter(chunks).values()} == {1}
    assert keys_of_clients(redis_url, prefix) == []


@pytest.mark.fault("a training is killed and starts again: nothing comes twice, nothing is missing")
@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("kind", ["stream", "sampler"])
def test_a_killed_training_that_starts_again_repeats_nothing_and_loses_nothing(
    redis_url: str, prefix: str, tmp_path: Path, kind: str
) -> None:
    """Two kills; 30 batches of 5 are three passes over the 50 chunks of voice, each chunk once a pass."""
    program, out = PROGRAMS / "resuming.py", tmp_path / "out"
    words = (redis_url, prefix, str(tmp_path / "checkpoint"), kind, "30")
    for steps in (4, 5):
        job = Program(program, *words, str(steps), out=out)
        wait_until_sync(lambda: job.written() == "taken\n", timeout_s=ENDS_S, what="so many steps are taken")  # noqa: B023
        os.killpg(job.pid, signal.SIGKILL)
        assert job.wait() == -signal.SIGKILL
    done = json.loads(Program(program, *words, "30", out=out).finish())
    assert [len(ids) for ids in done] == [5] * 30
    assert set(Counter(chunk for ids in done for chunk in ids).values()) == {3}
    with connect(redis_url) as server:
        assert server.hget(Keys(prefix).stats, "requests:") == b"30"
