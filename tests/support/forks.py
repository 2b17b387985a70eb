"""The command in processes that are forked off one which has imported it: nearly all of a start is imports.

A forked process is a process of its own, with its own pid, environment, folder, files and signals. It runs
`worker.__main__` as a fresh one does. Only a fresh process shows what the interpreter itself does at a start:
encodings, streams that are closed, signals amid imports. Tests of that start one.

The server forks the processes, waits for each, and writes how it ended. Each ends with its parent, even where SIGKILL
ends that: a test run that is killed leaves nothing behind.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, Final

_ROOT: Final = Path(__file__).parents[2]
_LARGEST: Final = 1 << 20
_ENDED: Final = struct.Struct("=i")
_SET_PARENT_DEATH_SIGNAL: Final = 1  # of prctl(2)
_HEAVY: Final = ("worker.client.torch", "worker.report", "worker.__main__")  # what few commands need
_LATE: Final = ("anyio._backends._asyncio", "email.parser", "encodings.ascii", "encodings.idna")  # what many load later


class Forked:
    """A process that was forked off; it is used as a `subprocess.Popen` is.

    Attributes:
        pid: Its process id.
        returncode: Its exit status, negative where a signal ended it; None while it runs.
    """

    def __init__(self, words: Sequence[str], pid: int, ended: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._words = words
        self._ended = ended
        self._looking = threading.Lock()

    def __del__(self) -> None:
        os.close(self._ended)

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        return self._look(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit status.

        Raises:
            subprocess.TimeoutExpired: It still runs after so many seconds.
        """
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(list(self._words), timeout or 0.0)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and self._is_over(timeout):
            self._read()
        return self.returncode

    def _is_over(self, timeout: float | None) -> bool:
        ended = select.poll()
        ended.register(self._ended, select.POLLIN)
        return bool(ended.poll(None if timeout is None else timeout * 1000))

    def _read(self) -> None:
        """Read the exit status, once. A server that was killed tells none: its processes were killed with it."""
        with self._looking:
            if self.returncode is None:
                words = os.read(self._ended, _ENDED.size)
                self.returncode = _ENDED.unpack(words)[0] if words else -signal.SIGKILL


def start_forked(
    words: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdout: int | IO[Any],
    stderr: int | IO[Any],
) -> Forked:
    """Run the command in a process of its own session, with nothing to read on stdin.

    Args:
        words: What follows the command's name.
        env: Its whole environment.
        cwd: Its folder.
        stdout: Where its output goes.
        stderr: Where its errors go.
    """
    requests, turn, _ = _server(os.getpid())
    ended, ends = os.pipe()
    with Path(os.devnull).open("rb") as nothing:
        files = [nothing.fileno(), *(one if isinstance(one, int) else one.fileno() for one in (stdout, stderr)), ends]
        order = json.dumps({"words": list(words), "env": dict(env), "cwd": str(cwd)}).encode()
        with turn:
            socket.send_fds(requests, [order], files)
    os.close(ends)
    pid = _ENDED.unpack(os.read(ended, _ENDED.size))[0]
    return Forked(words, pid, ended)


@cache
def _server(_: int) -> tuple[socket.socket, threading.Lock, subprocess.Popen[bytes]]:
    """Start the server of this process; a fork of it would start another. It ends when the socket does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for one in (ours, theirs):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.forks", str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        stdin=subprocess.DEVNULL,
    )
    theirs.close()
    atexit.register(_end, ours, server)
    return ours, threading.Lock(), server


def _end(requests: socket.socket, server: subprocess.Popen[bytes]) -> None:
    requests.close()
    server.wait()


def _serve(requests: socket.socket) -> None:
    """Fork, and say how each process ended, until whoever asks has ended."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a terminal sends them to all that it has started
    for name in (*light_modules(), *_LATE):
        importlib.import_module(name)
    gc.freeze()
    running: dict[int, tuple[int, int]] = {}  # by what becomes readable at its end: its pid, and where to say how
    seen = select.poll()
    seen.register(requests, select.POLLIN)
    while True:
        for ready, _ in seen.poll():
            if ready != requests.fileno():
                seen.unregister(ready)
                _say_how_it_ended(ready, *running.pop(ready))
                continue
            order, files, _, _ = socket.recv_fds(requests, _LARGEST, 4)
            if not order:
                return
            watched, pid = _start(order, files, [requests.fileno(), *running, *(ends for _, ends in running.values())])
            running[watched] = (pid, files[3])
            seen.register(watched, select.POLLIN)


def _say_how_it_ended(watched: int, pid: int, ends: int) -> None:
    os.close(watched)
    _tell(ends, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os.close(ends)


def _tell(ends: int, number: int) -> None:
    with suppress(BrokenPipeError):  # nobody asks any more
        os.write(ends, _ENDED.pack(number))


def _start(order: bytes, files: Sequence[int], ours: Sequence[int]) -> tuple[int, int]:
    """Fork a process that keeps nothing of ours open; return what becomes readable at its end, and its pid."""
    pid = os.fork()
    if pid == 0:
        for file in (*ours, files[3]):
            os.close(file)
        _become(json.loads(order), files)
    for file in files[:3]:
        os.close(file)
    _tell(files[3], pid)
    return os.pidfd_open(pid), pid


def light_modules() -> Iterator[str]:
    """Yield the names of all modules of the worker but those of PyTorch and Matplotlib, which few commands need."""
    return _modules(_ROOT / "worker", "worker.")


def _modules(folder: Path, prefix: str) -> Iterator[str]:
    for module in pkgutil.iter_modules([str(folder)], prefix):
        if module.name not in _HEAVY:
            yield module.name
            if module.ispkg:
                yield from _modules(folder / module.name.rpartition(".")[2], f"{module.name}.")


def _become(order: Mapping[str, Any], files: Sequence[int]) -> None:
    """Be the command from here on."""
    end_with_parent()
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
        os.close(file)
    # Streams know what kind of file they are on: those of the server are on others.
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    sys.argv = ["worker", *order["words"]]
    status = _run_to_end()
    os._exit(status)


def _run_to_end() -> int:
    """Run the command and end it as the interpreter would; return its exit status."""
    status = 1
    try:
        runpy.run_module("worker", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
    except BaseException:  # noqa: BLE001 - what the interpreter does with it
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except OSError:
        return 120
    return status


def end_with_parent() -> None:
    """Be killed when the parent ends, however it does."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
