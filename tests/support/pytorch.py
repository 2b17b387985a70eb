"""Programs that use PyTorch, in processes that are forked off one which has imported it: a start is nearly all imports.

That one is the fork server of `multiprocessing`. It and all that it forks end with this process, however that ends.
Libraries on top of PyTorch take seconds to import as well: `Imported` is a process that has done so once.
"""

import multiprocessing
import os
import runpy
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from tests.support.forks import end_with_parent
from tests.support.jobs import ENDS_S

os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads of many programs would wait for the few cores by spinning
FORKS: Final[Any] = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["torch", "torchdata.stateful_dataloader", "worker.client.torch"])


def wait_less_for_workers() -> None:
    """Wait half a second instead of five for each worker of a loader that is collected.

    torchdata tells no worker to end where it refused a state, and kills it after this time.
    """
    from torch.utils.data import _utils

    _utils.MP_STATUS_CHECK_INTERVAL = 0.5


class Program:
    """A program that runs in a process and a session of its own, in the folder that it writes to.

    Attributes:
        pid: Its process id, and that of its process group.
    """

    def __init__(
        self,
        path: Path,
        *words: str,
        out: Path,
        settings: Mapping[str, str] | None = None,
        imported: "Imported | None" = None,
    ) -> None:
        """Start it.

        Args:
            path: The program.
            words: What follows its name.
            out: Where its output goes; its errors go beside it.
            settings: What it has in its environment, besides ours.
            imported: The process that it is forked off; None: one that has imported PyTorch.
        """
        self._files = out, out.with_name(f"{out.name}.err")
        for file in self._files:
            file.write_bytes(b"")
        make = imported.process if imported else FORKS.Process
        self._process = make(target=_become, args=(path, words, self._files, dict(settings or {})))
        self._process.start()
        self.pid: int = self._process.pid

    def written(self) -> str:
        """Return what it has written so far."""
        return self._files[0].read_text()

    def errors(self) -> str:
        """Return what it has written to standard error so far."""
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


class Imported:
    """A process that has imported modules, from which programs are forked off: one at a time.

    Args:
        channel: A pipe to it.
    """

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def process(self, *, target: Callable[..., None], args: tuple[Any, ...]) -> "_ForkedOff":
        """Make a process that is started there."""
        return _ForkedOff(self._channel, target, args)


class _ForkedOff:
    """A process of another one; it is used as a process of `multiprocessing` is.

    Attributes:
        pid: Its process id.
        exitcode: Its exit status, negative where a signal ended it; None while it runs.
    """

    def __init__(self, channel: Any, target: Callable[..., None], args: tuple[Any, ...]) -> None:
        self._channel, self._order = channel, (target, args)
        self.pid = 0
        self.exitcode: int | None = None

    def start(self) -> None:
        self._channel.send(self._order)
        self.pid = self._channel.recv()

    def join(self, timeout: float) -> None:
        if self.exitcode is None and self._channel.poll(timeout):
            self.exitcode = self._channel.recv()


@contextmanager
def imported(*modules: str) -> Iterator[Imported]:
    """Run a process that has imported some modules, with each warning an error."""
    ours, theirs = multiprocessing.Pipe()
    process = FORKS.Process(target=_serve, args=(theirs, modules))
    process.start()
    theirs.close()
    with ours:
        yield Imported(ours)
    process.join(ENDS_S)
    assert process.exitcode == 0


def _serve(channel: Any, modules: tuple[str, ...]) -> None:
    """Fork processes on request, and send their process ids and exit statuses, until nobody asks any more."""
    end_with_parent()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in modules:
            import_module(name)
    while True:
        try:
            target, args = channel.recv()
        except EOFError:
            return
        process = multiprocessing.get_context("fork").Process(target=target, args=args)
        process.start()
        channel.send(process.pid)
        process.join()
        channel.send(process.exitcode)


def _become(path: Path, words: tuple[str, ...], files: tuple[Path, Path], settings: Mapping[str, str]) -> None:
    """Be the program from here on."""
    end_with_parent()
    wait_less_for_workers()
    os.setsid()
    for number, file in enumerate(files, 1):
        with file.open("ab") as sink:
            os.dup2(sink.fileno(), number)
    os.chdir(files[0].parent)
    os.environ.update(settings)
    multiprocessing.set_start_method("fork", force=True)  # as in a program that nobody has forked
    sys.argv = [str(path), *words]
    runpy.run_path(str(path), run_name="__main__")
