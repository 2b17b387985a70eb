"""Programs that use PyTorch, in processes that are forked off one which has imported it: a start is nearly all imports.

That one is the fork server of `multiprocessing`. It and all that it forks end with this process, however that ends.
"""

import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.support.forks import end_with_parent
from tests.support.jobs import ENDS_S

os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads of many programs would wait for the few cores by spinning
FORKS: Final[Any] = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["torch", "torchdata.stateful_dataloader", "worker.client.torch"])


class Program:
    """A program that runs in a process and a session of its own, in the folder that it writes to.

    Attributes:
        pid: Its process id, and that of its process group.
    """

    def __init__(self, path: Path, *words: str, out: Path, settings: Mapping[str, str] | None = None) -> None:
        """Start it.

        Args:
            path: The program.
            words: What follows its name.
            out: Where its output goes; its errors go beside it.
            settings: What it has in its environment, besides ours.
        """
        self._files = out, out.with_name(f"{out.name}.err")
        for file in self._files:
            file.write_bytes(b"")
        self._process = FORKS.Process(target=_become, args=(path, words, self._files, dict(settings or {})))
        self._process.start()
        self.pid: int = self._process.pid

    def written(self) -> str:
        """Tell what it has written so far."""
        return self._files[0].read_text()

    def errors(self) -> str:
        """Tell what it has written to standard error so far."""
        return self._files[1].read_text()

    def wait(self) -> int:
        """Wait for its end, and return its exit status, which is negative where a signal ended it."""
        self._process.join(ENDS_S)
        status = self._process.exitcode
        assert status is not None, f"it does not end: {self.written()}{self.errors()}"
        return int(status)

    def finish(self) -> str:
        """Wait for its end, which has to be a good one and without errors, and return what it wrote."""
        assert (self.wait(), self.errors()) == (0, "")
        return self.written()


def _become(path: Path, words: tuple[str, ...], files: tuple[Path, Path], settings: Mapping[str, str]) -> None:
    """Be the program from here on."""
    end_with_parent()
    os.setsid()
    for number, file in enumerate(files, 1):
        with file.open("ab") as sink:
            os.dup2(sink.fileno(), number)
    os.chdir(files[0].parent)
    os.environ.update(settings)
    multiprocessing.set_start_method("fork", force=True)  # as in a program that nobody has forked
    sys.argv = [str(path), *words]
    runpy.run_path(str(path), run_name="__main__")
