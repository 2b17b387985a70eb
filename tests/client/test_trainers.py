"""Trainers that drive the loop on two ranks: each chunk of a pass is heard once, or a sentence says what to pass."""

import json
import re
from collections.abc import Iterable
from typing import Any

import pytest

from tests.support.jobs import PROGRAMS, start_quiet_job
from tests.support.topologies import free_port

pytestmark = [pytest.mark.any_redis, pytest.mark.usefixtures("worker")]

ENDS_S = 300.0
HEARD_ONCE = {
    "accelerate": ["accelerate-sampler", "accelerate-sampler.workers", "accelerate-stream"],
    "lightning": ["lightning-sampler.undistributed", "lightning-stream", "lightning-stream.raw.workers"],
}
REFUSED = {
    "accelerate": {
        "accelerate-sampler.split": "accepted: split_batches=False",
        "accelerate-sampler.skip": "skip_first_batches would draw 2 batches and throw them away; accepted: the state",
        "accelerate-sampler.stateful": "this loader's state does not hold the sampler's",
        "accelerate-stream.undispatched": "accepted: dispatch_batches=None or True",
    },
    "lightning": {"lightning-sampler": "Trainer(use_distributed_sampler=False)"},
}


def told_by(whats: Iterable[str], url: str, prefix: str) -> dict[str, list[Any]]:
    """Run two ranks, which train in each way in turn: starting them takes most of the time."""
    launch = ("-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(free_port()))
    with start_quiet_job(*launch, str(PROGRAMS / "trainers.py"), url, prefix, *whats) as process:
        out, err = process.communicate(timeout=ENDS_S)
    found = re.search(r"^TOLD (.*)$", out, re.MULTILINE)
    assert found, err[-4000:]
    told: dict[str, list[Any]] = json.loads(found[1])
    return told


@pytest.mark.parametrize("trainer", ["accelerate", "lightning"])
def test_a_whole_pass_is_heard_once_and_what_would_throw_batches_away_is_refused(
    redis_url: str, prefix: str, trainer: str
) -> None:
    """A stream that Accelerate dispatches is rank 0's alone, which has half of the pass."""
    told = told_by([*HEARD_ONCE[trainer], *REFUSED[trainer]], redis_url, prefix)
    for what in HEARD_ONCE[trainer]:
        heard = sorted(chunk for rank in told[what] for chunk in rank)
        if what == "accelerate-stream":
            assert (len(heard) >= 25, len(set(heard))) == (True, 25), what
        else:
            assert heard == list(range(1000, 1050)), what
    for what, words in REFUSED[trainer].items():
        assert [words in sentence for sentence in told[what]] == [True, True], (what, told[what])


def test_samples_that_accelerate_cannot_hand_on_are_refused(redis_url: str, prefix: str) -> None:
    """Only rank 0 asks, and the other one waits for it: nothing can be gathered from both."""
    launch = ("-m", "torch.distributed.run", "--nproc_per_node", "1", "--master_port", str(free_port()))
    words = (*launch, str(PROGRAMS / "trainers.py"), redis_url, prefix, "accelerate-stream.raw")
    with start_quiet_job(*words) as process:
        out, err = process.communicate(timeout=ENDS_S)
    assert "accepted: a collate_fn that makes tensors of a sample" in out + err
