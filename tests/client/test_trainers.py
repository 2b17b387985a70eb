"""Trainers that drive the loop on two ranks: each chunk of a pass is heard once, or a sentence says what to pass."""

import json
import re
from typing import Any

import pytest

from tests.support.jobs import PROGRAMS, start_quiet_job
from tests.support.topologies import free_port

pytestmark = [pytest.mark.any_redis, pytest.mark.usefixtures("worker")]

ENDS_S = 300.0


def told_by(what: str, url: str, prefix: str) -> list[Any]:
    """Run two ranks, and return what each heard or was told."""
    launch = ("-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(free_port()))
    with start_quiet_job(*launch, str(PROGRAMS / "trainers.py"), url, prefix, what) as process:
        out, err = process.communicate(timeout=ENDS_S)
    found = re.search(r"^TOLD (.*)$", out, re.MULTILINE)
    assert found, err[-4000:]
    told: list[Any] = json.loads(found[1])
    return told


@pytest.mark.parametrize(
    "what",
    [
        "accelerate-sampler",
        "accelerate-sampler.workers",
        "accelerate-stream",
        "lightning-sampler.undistributed",
        "lightning-stream",
        "lightning-stream.raw.workers",
    ],
)
def test_a_whole_pass_is_heard_once(redis_url: str, prefix: str, what: str) -> None:
    """A stream that Accelerate dispatches is rank 0's alone, which has half of the pass."""
    first, second = told_by(what, redis_url, prefix)
    heard = sorted(first + second)
    if what == "accelerate-stream":
        assert len(heard) >= 25
        assert len(set(heard)) == 25
    else:
        assert heard == list(range(1000, 1050))


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("accelerate-sampler.split", "accepted: split_batches=False"),
        ("accelerate-sampler.skip", "skip_first_batches would draw 2 batches and throw them away; accepted: the state"),
        ("accelerate-sampler.stateful", "this loader's state does not hold the sampler's"),
        ("accelerate-stream.undispatched", "accepted: dispatch_batches=None or True"),
        ("lightning-sampler", "Trainer(use_distributed_sampler=False)"),
    ],
)
def test_what_would_throw_batches_away_is_refused(redis_url: str, prefix: str, what: str, words: str) -> None:
    for told in told_by(what, redis_url, prefix):
        assert words in told


def test_samples_that_accelerate_cannot_hand_on_are_refused(redis_url: str, prefix: str) -> None:
    """Only rank 0 asks, and the other one waits for it: nothing can be gathered from both."""
    launch = ("-m", "torch.distributed.run", "--nproc_per_node", "1", "--master_port", str(free_port()))
    words = (*launch, str(PROGRAMS / "trainers.py"), redis_url, prefix, "accelerate-stream.raw")
    with start_quiet_job(*words) as process:
        out, err = process.communicate(timeout=ENDS_S)
    assert "accepted: a collate_fn that makes tensors of a sample" in out + err
