"""Processes that read headers: in order, and whatever becomes of one of them."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.audio import write_audio
from tests.support.waiting import wait_until_sync
from worker.adapters.audio_readers import HeaderReaders
from worker.core.catalog.scan import Measured
from worker.settings.environment import environment_with

READ_FOR_EVER = """
import itertools, sys
from worker.adapters.audio_readers import HeaderReaders
if __name__ == "__main__":
    with HeaderReaders(1000) as readers:
        for number in itertools.count():
            list(readers.measured(sys.argv[1:] * 500))
            print(number, flush=True)
"""


def test_lengths_come_in_the_order_of_the_paths(tmp_path: Path) -> None:
    lengths = {str(write_audio(tmp_path / f"{n}.wav", n / 100)): n / 100 for n in range(1, 40)}
    wanted = [*lengths] * 10
    with HeaderReaders(4000) as readers:
        assert [one.duration_s for one in readers.measured(wanted)] == [lengths[path] for path in wanted]
        assert list(readers.measured([])) == []


def test_a_process_that_dies_costs_no_file(tmp_path: Path) -> None:
    paths = [str(write_audio(tmp_path / f"{n}.wav")) for n in range(20)]
    with HeaderReaders(1) as readers:
        assert len(list(readers.measured(paths))) == 20
        [child] = multiprocessing.active_children()
        child.kill()
        child.join(30)
        assert list(readers.measured(paths)) == [Measured(0.25)] * 20


@pytest.mark.needs_linux
def test_readers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    program, file = tmp_path / "read.py", write_audio(tmp_path / "x.wav")
    program.write_text(READ_FOR_EVER)
    parent = subprocess.Popen(
        [sys.executable, str(program), str(file)],
        env=environment_with({"PYTHONPATH": str(Path(__file__).parents[2])}),
        stdout=subprocess.PIPE,
    )
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"0\n"
        started = [path.read_text().split() for path in Path(f"/proc/{parent.pid}/task").glob("*/children")]
        children = [Path(f"/proc/{pid}/stat") for pids in started for pid in pids]
        assert children
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.communicate()
    wait_until_sync(lambda: not any(map(_runs, children)), timeout_s=30, what="the readers have ended")


def _runs(stat: Path) -> bool:
    return stat.exists() and stat.read_text().rpartition(") ")[2][0] != "Z"
