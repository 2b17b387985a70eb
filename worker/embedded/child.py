"""Child processes that end when we end, together with everything that they started.

Each child has a leash: a shell that reads from a pipe whose other end we hold. A clean end writes a word into the pipe.
If we end without it, even by SIGKILL, the pipe breaks, and the shell sends the child its signal. The child itself holds
another pipe, and so does all that it starts. This pipe breaks when the last of them has ended.
"""

import importlib.util
import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple, cast

from worker.errors import DependencyError, SettingsError

_LEASH = 'read -r pid && { read -r word || kill -"$1" "$pid"; }'


class Account(NamedTuple):
    """The account that a child runs as; all None: our own."""

    user: int | None = None
    group: int | None = None
    extra_groups: tuple[int, ...] | None = None


class Surroundings(NamedTuple):
    """What a child runs in.

    Attributes:
        cwd: Its working directory.
        log: The file that its output is appended to.
        account: The account that it runs as.
        environment: Its environment variables; None: ours.
    """

    cwd: Path
    log: Path
    account: Account = Account()
    environment: Mapping[str, str] | None = None


class Child:
    """A process that ends when we end, together with everything that it started.

    Args:
        command: Its program and arguments.
        surroundings: What it runs in.
        orphan_signal: The signal that it gets if we end before we have ended it.

    Attributes:
        pid: Its process id.

    Raises:
        SettingsError: The program cannot be run.
    """

    def __init__(self, command: Sequence[str], surroundings: Surroundings, orphan_signal: signal.Signals) -> None:
        # PR_SET_PDEATHSIG exists on Linux only, and ends the child with the *thread* that started it.
        self._leash = subprocess.Popen(  # noqa: S603 - a constant script
            ["/bin/sh", "-c", _LEASH, "leash", str(orphan_signal.value)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        # Everything that the process starts inherits the writing end. The reading end sees when the last has ended.
        self._descendants, inherited = os.pipe()
        try:
            self._process = _spawn(command, surroundings, inherited)
        except SettingsError:
            self._release()
            raise
        finally:
            os.close(inherited)
        self.pid = self._process.pid
        cast("IO[bytes]", self._leash.stdin).write(f"{self.pid}\n".encode())

    @property
    def running(self) -> bool:
        """Return whether the process runs."""
        return self._process.poll() is None

    def wait(self) -> int:
        """Wait for the process to end by itself and return its exit status."""
        return self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        self._process.send_signal(number)

    def end(self, how: signal.Signals, *, timeout_s: float) -> None:
        """Send `how`, then SIGKILL after `timeout_s`, and wait until the process and all its descendants are gone.

        Raises:
            DependencyError: A descendant of the process still runs.
        """
        self.send(how)
        self.send(signal.SIGCONT)  # a stopped process does not handle the first one
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        poll = select.poll()
        poll.register(self._descendants)
        gone = poll.poll(timeout_s * 1000)
        self._release()
        if not gone:
            raise DependencyError(f"what process {self.pid} had started runs on {timeout_s:g} s after its end")

    def _release(self) -> None:
        self._leash.communicate(b"done\n")
        os.close(self._descendants)


def from_wheel(package: str, pattern: str) -> Path:
    """Find a file of an installed package without importing the package, since that has side effects.

    Args:
        package: Import name.
        pattern: Glob below the folder of the package; the first match counts.

    Raises:
        SettingsError: The package is not installed, or not for this machine.
    """
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations or []) if spec else []
    found = [path for folder in folders for path in Path(folder).glob(pattern)]
    if not found:
        raise SettingsError(f"there is no server in {package}: pip install 'sampling-worker[embedded]'")
    return found[0]


def _spawn(command: Sequence[str], surroundings: Surroundings, inherited: int) -> subprocess.Popen[bytes]:
    user, group, extra_groups = surroundings.account
    with surroundings.log.open("ab") as log:
        try:
            return subprocess.Popen(  # noqa: S603 - no shell, and the words are ours or the caller's
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=surroundings.cwd,
                env=surroundings.environment,
                pass_fds=(inherited,),
                start_new_session=True,  # Ctrl-C in a terminal is for us alone: we stop children in order
                user=user,
                group=group,
                extra_groups=extra_groups,
            )
        except OSError as error:
            raise SettingsError(f"cannot run {command[0]} in {surroundings.cwd}: {error.strerror}") from error
