"""Signals leave a note: what starts and stops servers is never interrupted."""

import os
import signal
import subprocess
import sys

import pytest

from worker.run_dir.ending import Ending

_THREE = """
import os, signal
from worker.run_dir.ending import Ending
with Ending() as ending:
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_ends_the_next_wait_and_the_second_hurries(number: signal.Signals) -> None:
    hurried: list[bool] = []
    before = signal.signal(number, signal.SIG_DFL)  # nohup ignores SIGHUP
    with Ending() as ending:
        ending.hurry = lambda: hurried.append(True)
        ending.check()
        ending.wait(0.001)
        os.kill(os.getpid(), number)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                ending.wait(600)
        assert not hurried
        os.kill(os.getpid(), signal.SIGTERM)
        assert hurried == [True]
        with pytest.raises(KeyboardInterrupt):
            ending.check()
    signal.signal(number, before)


def test_the_third_ends_the_process() -> None:
    assert subprocess.run([sys.executable, "-c", _THREE], check=False, timeout=60).returncode == 1


def test_handlers_are_given_back_and_an_ignored_signal_stays_ignored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    hang_up = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Ending() as ending:
            os.kill(os.getpid(), signal.SIGHUP)  # as under nohup
            ending.check()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, hang_up)
    assert signal.getsignal(signal.SIGTERM) is before
