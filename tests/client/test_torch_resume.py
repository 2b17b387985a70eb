"""A training resumed from a state gets the same samples as before in every iteration, without gaps.

A state is taken anywhere, and the kill comes anywhere: in the same iteration, or in a later one.
"""

import gc
import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.jobs import keys_of_clients
from tests.support.pytorch import wait_less_for_workers
from tests.support.servers import connect
from tests.support.trainings import Steps, Training, loader_of
from worker.adapters.redis.client_streams import KEPT_TTL_S
from worker.client import LeftOutWarning, SampleClient
from worker.core.keys import Keys

pytestmark = [pytest.mark.any_redis, pytest.mark.usefixtures("worker")]

LOADERS = [
    ("stream", 0, False),
    ("stream", 2, False),
    ("stream", 2, True),
    ("sampler", 0, False),
    ("sampler", 2, False),
]
"""Of each: kind, workers, and whether these are persistent."""


@pytest.fixture(autouse=True, scope="module")
def _soon_over() -> Iterator[None]:
    """Collect the loaders of a module with it: else the process of these tests waits for their workers at its end."""
    wait_less_for_workers()
    yield
    gc.collect()


def training_in(folder: Path, url: str, prefix: str, loader: tuple[str, int, bool], **options: Any) -> Training:
    kind, workers, is_persistent = loader
    return Training(url, prefix, folder, kind, workers, is_persistent, **options)


def is_whole_passes(steps: Steps, passes: int) -> bool:
    """Return whether the 50 chunks of voice were heard so often each."""
    heard = Counter(chunk for ids in steps.values() for chunk in ids)
    return len(heard) == 50 and set(heard.values()) == {passes}


@pytest.mark.parametrize("loader", LOADERS, ids=str)
def test_what_was_drawn_comes_again_in_every_iteration(
    redis_url: str, prefix: str, tmp_path: Path, loader: tuple[str, int, bool]
) -> None:
    """Iterations of four steps, passes of ten; states at steps 0, 3 and 6; kills at steps 11, 13 and 10."""
    training = training_in(tmp_path, redis_url, prefix, loader)
    first = training.run(11, saves_at=(0, 3))
    second = training.run(13, begins_with=3, saves_at=(6,))
    third = training.run(10, begins_with=6)
    fourth = training.run(20, begins_with=3)  # a state that is older than the latest
    fifth = training.run(20, begins_with=0)
    assert all(second[step] == first[step] for step in range(4, 12))
    assert all(third[step] == second[step] for step in range(7, 11))
    assert all(fourth[step] == second[step] for step in range(4, 14))
    assert all(fifth[step] == fourth[step] for step in range(4, 21))
    assert all(fifth[step] == first[step] for step in range(1, 4))
    assert is_whole_passes(fifth, 2)


@pytest.mark.parametrize("loader", LOADERS, ids=str)
def test_an_iteration_that_was_left_goes_on_from_its_state(
    redis_url: str, prefix: str, tmp_path: Path, loader: tuple[str, int, bool]
) -> None:
    """It breaks at step 2 of 4. Others go on from there, from the last step of the next iteration, and from its end."""
    training = training_in(tmp_path, redis_url, prefix, loader)
    first = training.run(8, saves_at=(2, 6, 7), breaks_at=2)
    assert training.run(8, begins_with=6) == {step: ids for step, ids in first.items() if step > 6}
    assert training.run(8, begins_with=7) == {step: ids for step, ids in first.items() if step > 7}
    left = training.run(4, begins_with=2)
    drawn = [first[step] for step in range(1, 7)] + [left[3], left[4]]
    assert len({chunk for ids in drawn for chunk in ids}) == 40  # what was drawn ahead, and left, is what comes


@pytest.mark.parametrize("loader", [("stream", 0, False), ("sampler", 0, False)], ids=str)
def test_a_state_may_be_older_than_a_client_remembers(
    redis_url: str, prefix: str, tmp_path: Path, loader: tuple[str, int, bool]
) -> None:
    """1,500 samples of one chunk after the state, in one iteration: more than a client keeps in memory."""
    training = training_in(tmp_path, redis_url, prefix, loader, batches=2000, size=1)
    first = training.run(1510, saves_at=(10,))
    second = training.run(1600, begins_with=10)
    assert all(second[step] == first[step] for step in range(11, 1511))
    assert is_whole_passes({**first, **second}, 32)


def test_what_is_left_for_a_resume_expires(redis_url: str, prefix: str, tmp_path: Path) -> None:
    training_in(tmp_path, redis_url, prefix, ("stream", 2, False)).run(9, saves_at=(3,))
    left = keys_of_clients(redis_url, prefix)
    assert len(left) >= 8
    with connect(redis_url) as server:
        assert all(0 < server.ttl(key) <= KEPT_TTL_S for key in left)
        for key in left:
            server.delete(key)
        assert server.hget(Keys(prefix).stats, "requests:")


def test_what_is_gone_is_told_and_its_number_where_that_is_known(
    client: SampleClient, redis_url: str, prefix: str
) -> None:
    from worker.client.torch import ChunkIdStream

    stream = ChunkIdStream(1, name="run", batches=100, client=client)
    iteration = iter(stream)
    state, _ = stream.state_dict(), [next(iteration) for _ in range(10)]
    later, _ = stream.state_dict(), [next(iteration) for _ in range(30)]
    del iteration
    with connect(redis_url) as server:
        [results] = server.keys(Keys(prefix).reply("run-*"))
        numbers = {
            entry_id: int(answer[b"request_id"].rpartition(b"-")[2]) for entry_id, answer in server.xrange(results)
        }
        server.xdel(results, *[entry_id for entry_id, number in numbers.items() if number < 24])
    stream.load_state_dict(later)
    assert later["asked"] - later["position"] == 4
    with pytest.warns(LeftOutWarning, match=r"^14 samples that were asked for as run-0-0-\w+-0 after this state"):
        next(iter(stream))
    with connect(redis_url) as server:
        server.delete(*keys_of_clients(redis_url, prefix))
    stream.load_state_dict(later)
    with pytest.warns(LeftOutWarning, match="^at least 4 samples that were asked for"):
        next(iter(stream))
    stream.load_state_dict({**state, "run": "unheard-of"})
    assert next(iter(stream)).request_id == "run-0-0-unheard-of-0-0"  # nothing had been asked for: nothing is missing


def test_results_outlive_the_time_that_workers_give_them(redis_url: str, prefix: str, tmp_path: Path) -> None:
    """WORKER_REPLY_TTL_S is an hour here: a job that is preempted waits longer."""
    training = training_in(tmp_path, redis_url, prefix, ("stream", 0, False))
    first = training.run(7, saves_at=(2,))
    with connect(redis_url) as server:
        streams = server.keys(Keys(prefix).reply("run-*"))
        assert len(streams) == 2
        assert all(server.ttl(stream) > 3600 for stream in streams)
    second = training.run(10, begins_with=2)
    assert is_whole_passes({**first, **second}, 1)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than a small machine has
@pytest.mark.parametrize("changed", [{"workers": 3}, {"workers": 1}, {"batches": 5}, {"size": 6}], ids=str)
def test_a_state_of_something_else_is_refused(
    redis_url: str, prefix: str, tmp_path: Path, changed: dict[str, Any]
) -> None:
    import torch

    training = training_in(tmp_path, redis_url, prefix, ("stream", 2, False))
    training.run(3, saves_at=(2,))
    [name] = ["num_workers" if "workers" in changed else key for key in changed]
    loader = loader_of(replace(training, **changed))
    loader.load_state_dict(torch.load(training.state_at(2)))
    with pytest.raises(ValueError, match=rf"{name} is \d, and was \d when the state was taken; accepted: the same"):
        next(iter(loader))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than a small machine has
@pytest.mark.filterwarnings("ignore:Exception ignored in.*__del__")  # of torch, which has begun to make an iterator
@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 0), (2, 3)])
def test_a_loader_around_a_sampler_refuses_a_state_of_other_workers(
    redis_url: str, prefix: str, tmp_path: Path, before: int, after: int
) -> None:
    """The sampler draws in the training's process, but a loader of torchdata goes on with as many workers alone."""
    training = training_in(tmp_path, redis_url, prefix, ("sampler", before, False))
    loader, other = loader_of(training), loader_of(replace(training, workers=after))
    iteration = iter(loader)
    next(iteration)
    other.load_state_dict(loader.state_dict())
    words = f"num_workers is {after}, and was {before} when the state was taken; accepted: the same, or no state"
    with pytest.raises(ValueError, match=words):
        iter(other)


@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 0)])
def test_a_loader_around_a_stream_refuses_a_state_with_workers_where_it_has_none(
    redis_url: str, prefix: str, tmp_path: Path, before: int, after: int
) -> None:
    """These words are those of torchdata, which does not ask the stream."""
    training = training_in(tmp_path, redis_url, prefix, ("stream", before, False))
    loader, other = loader_of(training), loader_of(replace(training, workers=after))
    iteration = iter(loader)
    next(iteration)
    other.load_state_dict(loader.state_dict())
    with pytest.raises(AssertionError, match=r"State doesn't contain key '_(snapshot|num_yielded)' expected for"):
        iter(other)


@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")  # torchdata calls what torch says is deprecated
@pytest.mark.parametrize("workers", [0, 2])
def test_a_dataset_around_a_stream_has_to_hand_on_its_state(client: SampleClient, workers: int) -> None:
    """Without one, torchdata draws and skips what was heard; and so it would be after the first batch alone."""
    from torch.utils.data import IterableDataset
    from torchdata.stateful_dataloader import StatefulDataLoader

    from worker.client.torch import ChunkIdStream

    class Around(IterableDataset[Any]):
        def __init__(self) -> None:
            self.stream = ChunkIdStream(5, batches=4, session="run", method="epoch", category="voice", client=client)

        def __iter__(self) -> Any:
            for sample in self.stream:
                yield [int(chunk) for chunk in sample.chunk_ids]

    def loader() -> Any:
        return StatefulDataLoader(Around(), batch_size=None, num_workers=workers)

    first, second = loader(), loader()
    unused, iteration = first.state_dict(), iter(first)
    begun = [chunk for _ in range(2) for chunk in next(iteration)]
    second.load_state_dict(first.state_dict())
    with pytest.raises(ValueError, match="as Around has no state_dict, and 2 batches would be drawn and thrown away"):
        list(second)
    third = loader()
    third.load_state_dict(unused)
    heard = [chunk for chunks in third for chunk in chunks]
    assert (len(heard), len({*begun, *heard})) == (20, 30)


@pytest.mark.parametrize("kind", ["stream", "sampler"])
def test_a_state_of_another_rank_or_of_as_many_is_refused(
    client: SampleClient, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from worker.client.torch import ChunkIdStream, WeightedBatchSampler

    stream: Any = ChunkIdStream(1, name="run", client=client)
    if kind == "sampler":
        stream = WeightedBatchSampler(1, batches=9, index_of=int, name="run", client=client)
    state = stream.state_dict()
    for variable, value, words in (
        ("RANK", "1", "the rank, each of which has a state of its own, is 1, and was 0"),
        ("WORLD_SIZE", "2", "the number of ranks is 2, and was 1"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            stream.load_state_dict(state)
            with pytest.raises(ValueError, match=f"{words} when the state was taken"):
                iter(stream)
    for broken in ({"life": "abc", "position": 5}, {**state, "iteration": "x"}, {**state, "of": 3}):
        with pytest.raises(ValueError, match="is not of this version; accepted: what state_dict returned"):
            stream.load_state_dict(broken)


def test_a_loader_whose_worker_was_killed_goes_on_from_its_state(redis_url: str, prefix: str, tmp_path: Path) -> None:
    training = training_in(tmp_path, redis_url, prefix, ("stream", 2, False), batches=10)
    loader = loader_of(training)
    iteration = iter(loader)
    before = {1: next(iteration), 2: next(iteration)}
    state = loader.state_dict()
    for process in iteration._workers:
        os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match=r"killed by signal|exited unexpectedly"):
        list(iteration)
    del iteration, loader
    loader = loader_of(training)
    loader.load_state_dict(state)
    assert is_whole_passes({**before, **dict(enumerate(loader, 3))}, 1)


def test_a_seeded_run_that_is_left_may_be_gone_on_from_afterwards(client: SampleClient) -> None:
    """The state is taken after the iteration has gone: a warning counts the samples that are missing."""
    from worker.client.torch import ChunkIdStream

    stream = ChunkIdStream(4, name="run", batches=9, seed=3, client=client)
    heard = [tuple(sample.chunk_ids) for sample, _ in zip(stream, range(5), strict=False)]
    state = stream.state_dict()
    assert (state["iteration"], state["position"]) == (0, 6)  # zip takes one more than it hands out
    assert [(one["iteration"], one["position"]) for one in (stream.state_dict(),)] == [(0, 6)]
    stream.load_state_dict(state)
    with pytest.warns(LeftOutWarning, match="at least 3 samples"):
        rest = [tuple(sample.chunk_ids) for sample in stream]
    assert len(rest) == 3
    whole = [tuple(sample.chunk_ids) for sample in ChunkIdStream(4, batches=9, seed=3, client=client)]
    assert (heard, rest) == (whole[:5], whole[6:])
    assert (stream.state_dict()["iteration"], stream.state_dict()["position"]) == (1, 0)
