"""A program that ends with the process that started it, even if SIGKILL ends that: a killed run leaves nothing behind.

On Linux the kernel sends it SIGKILL (`PR_SET_PDEATHSIG` of prctl(2)), which an exec keeps. The kernel does so when the
starting *thread* ends. So start such a program from a thread that lives as long as it. Elsewhere this has no effect.
"""

import os
import signal
import sys
from collections.abc import Sequence
from ctypes import CDLL
from typing import Final

SET_PARENT_DEATH_SIGNAL: Final = 1


def leashed(command: Sequence[str]) -> list[str]:
    """Return a command that runs this one, under the same process id."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def end_with_parent(parent: int) -> None:
    """Be killed when the parent ends; end now if it has ended already."""
    if sys.platform == "linux":
        CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    end_with_parent(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - the words are the caller's
