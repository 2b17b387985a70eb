"""Trainers that drive the loop on two ranks: each chunk of a pass is heard once, or a sentence says what to pass."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.jobs import PROGRAMS
from tests.support.pytorch import Imported, Program

pytestmark = [pytest.mark.any_redis, pytest.mark.usefixtures("worker")]

IMPORTED = ("lightning.pytorch",)
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


def told_by(program: Program) -> dict[str, list[Any]]:
    """Return what two ranks heard, which train in each way in turn: starting them takes most of the time."""
    program.wait()
    found = re.search(r"^TOLD (.*)$", program.written(), re.MULTILINE)
    assert found, program.errors()[-4000:]
    told: dict[str, list[Any]] = json.loads(found[1])
    return told


@pytest.mark.parametrize("trainer", ["accelerate", "lightning"])
def test_a_whole_pass_is_heard_once_and_what_would_throw_batches_away_is_refused(
    redis_url: str, prefix: str, tmp_path: Path, libraries: Imported, trainer: str
) -> None:
    """A stream that Accelerate dispatches is rank 0's alone, which has half of the pass."""
    trainings = [*HEARD_ONCE[trainer], *REFUSED[trainer]]
    given, out = ("2", redis_url, prefix, *trainings), tmp_path / "out"
    told = told_by(Program(PROGRAMS / "trainers.py", *given, out=out, imported=libraries))
    for what in HEARD_ONCE[trainer]:
        heard = sorted(chunk for rank in told[what] for chunk in rank)
        if what == "accelerate-stream":
            assert (len(heard) >= 25, len(set(heard))) == (True, 25), what
        else:
            assert heard == list(range(1000, 1050)), what
    for what, words in REFUSED[trainer].items():
        assert [words in sentence for sentence in told[what]] == [True, True], (what, told[what])


def test_lightning_goes_on_from_its_checkpoint_on_one_rank(
    redis_url: str, prefix: str, tmp_path: Path, libraries: Imported
) -> None:
    """It stops after two of five batches, and its loader's state is in the checkpoint: nothing comes again.

    With fewer DataLoader workers than before it is refused.
    """
    whats = ["lightning-sampler.resumed", "lightning-stream.resumed"]
    fewer = ["lightning-sampler.resumed.fewer", "lightning-stream.resumed.fewer"]
    given, out = ("1", redis_url, prefix, *whats, *fewer), tmp_path / "out"
    told = told_by(Program(PROGRAMS / "trainers.py", *given, out=out, imported=libraries))
    for what in whats:
        [heard] = told[what]
        assert (len(heard), len(set(heard))) == (25, 25), (what, heard)
    for what in fewer:
        [sentence] = told[what]
        assert "num_workers is 1, and was 2 when the state was taken; accepted: the same, or no state" in sentence


def test_samples_that_accelerate_cannot_hand_on_are_refused(redis_url: str, prefix: str, tmp_path: Path) -> None:
    """Only rank 0 asks, and the other one waits for it: nothing can be gathered from both."""
    words = ("1", redis_url, prefix, "accelerate-stream.raw")
    program = Program(PROGRAMS / "trainers.py", *words, out=tmp_path / "out")
    program.wait()
    assert "accepted: a collate_fn that makes tensors of a sample" in program.written() + program.errors()
