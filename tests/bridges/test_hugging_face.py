"""The Hugging Face Trainer on two ranks, with its own loader and with a stream as its dataset."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.bridges.going import PROGRAMS
from tests.support.examples import run_example
from tests.support.pytorch import Imported, Program

pytestmark = [pytest.mark.any_redis, pytest.mark.usefixtures("worker")]

IMPORTED = ("transformers.trainer", "torch.distributed.launcher.api")
STEPS, SIZE, SMALL, SAVED_AT, MOVED_AT = 5, 5, 2, 2, 5
WHOLE = list(range(1000, 1050))
REFUSED = "when the state was taken; accepted: the same, or no state"


def told(ranks: int, libraries: Imported, url: str, prefix: str, folder: Path, *whats: str) -> dict[str, list[Any]]:
    """Return what each rank heard in each training."""
    words, out = (str(ranks), url, prefix, *whats), folder / f"out-{ranks}"
    program = Program(PROGRAMS / "hugging_face.py", *words, out=out, imported=libraries)
    program.wait()
    found = re.search(r"^TOLD (.*)$", program.written(), re.MULTILINE)
    assert found, program.errors()[-4000:]
    heard: dict[str, list[Any]] = json.loads(found[1])
    return heard


def test_the_example_trains_and_goes_on(redis_url: str, prefix: str, tmp_path: Path, libraries: Imported) -> None:
    settings = {"REDIS_URL": redis_url, "WORKER_PREFIX": prefix}
    program = run_example("class SaveState", tmp_path, settings, imported=libraries)
    assert program.wait() == 0, program.errors()
    assert len(program.written().splitlines()) == 101  # a loss a step, and the time
    checkpoints = {path.parent.name for path in (tmp_path / "run-7").glob("checkpoint-*/loader-0.pt")}
    assert checkpoints == {f"checkpoint-{step}" for step in range(20, 101, 20)}
    shutil.rmtree(tmp_path / "run-7" / "checkpoint-100")
    program = run_example("class SaveState", tmp_path, settings, imported=libraries)
    assert program.wait() == 0, program.errors()
    assert len(program.written().splitlines()) == 21


def test_ranks_hear_each_chunk_once_and_go_on_as_it_is_said(
    redis_url: str, prefix: str, tmp_path: Path, libraries: Imported
) -> None:
    whats = [
        "exact:own.workers.saved",
        "exact:own.one.goes",
        "exact:own.goes",
        "exact:own.workers.goes",
        "given:saved",
        "given:goes",
        "mix:own.moved",
    ]
    heard = told(2, libraries, redis_url, prefix, tmp_path, *whats)
    first, last = heard["exact:own.workers.saved"], heard["exact:own.workers.goes"]
    assert [len(one) for one in first] == [SAVED_AT * SIZE] * 2
    assert sorted(chunk for rank in first + last for chunk in rank) == WHOLE
    for sentence in heard["exact:own.one.goes"]:
        assert f"num_workers is 1, and was 2 {REFUSED}" in sentence
    for sentence in heard["exact:own.goes"]:
        assert "State doesn't contain key '_num_yielded'" in sentence

    begun, anew = heard["given:saved"], heard["given:goes"]
    assert [len(one) for one in begun + anew] == [SAVED_AT * SMALL] * 2 + [(STEPS - SAVED_AT) * SMALL] * 2
    assert len({chunk for rank in begun + anew for chunk in rank}) == 2 * STEPS * SMALL
    for chunks in heard["mix:own.moved"]:
        assert {chunk // 1000 for chunk in chunks[: MOVED_AT * SIZE]} > {2}
        assert {chunk // 1000 for chunk in chunks[-SIZE:]} == {2}

    alone = told(
        1,
        libraries,
        redis_url,
        prefix,
        tmp_path,
        "exact:own.workers.goes",
        "one:workers.saved",
        "one:workers.skips.goes",
    )
    assert f"the number of ranks is 1, and was 2 {REFUSED}" in alone["exact:own.workers.goes"][0]
    assert "skip_first_batches would draw 2 batches and throw them away" in alone["one:workers.skips.goes"][0]
