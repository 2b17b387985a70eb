"""A training that goes on from a state is given what it was given before, in every iteration, and nothing is left out.

A state is taken anywhere, and the kill comes anywhere: in the same iteration, or in a later one.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.jobs import keys_of_clients
from tests.support.servers import connect
from tests.support.trainings import Steps, Training
from worker.adapters.redis_exchange import KEPT_TTL_S
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


def training_in(folder: Path, url: str, prefix: str, loader: tuple[str, int, bool], **options: Any) -> Training:
    kind, workers, is_persistent = loader
    return Training(url, prefix, folder, kind, workers, is_persistent, **options)


def is_whole_passes(steps: Steps, passes: int) -> bool:
    """Tell whether the 50 chunks of voice were heard so often each."""
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
