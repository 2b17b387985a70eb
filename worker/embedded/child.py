"""Child processes that end with this one, with everything that they started.

A watchdog stands beside each child: a shell that waits for a word on a pipe from this process. If this process ends
without that word, even by SIGKILL, the pipe breaks and the watchdog signals the child. It also continues the child,
since a stopped process takes no signal but SIGKILL.
"""

import importlib.util
import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import IO, NamedTuple, cast

from worker.errors import DependencyError, SettingsError

_WATCHDOG = 'read -r pid && { read -r word || { kill -"$1" "$pid"; kill -CONT "$pid"; }; }'


class Account(NamedTuple):
    """The account that a child runs as; all None: that of this process."""

    user: int | None = None
    group: int | None = None
    extra_groups: tuple[int, ...] | None = None


class Launch(NamedTuple):
    """How a child is launched.

    Attributes:
        cwd: Its working directory.
        log: File to which it prints; appended to. None: it prints where this process does.
        account: Account that it runs as.
        env: Its environment; None: that of this process.
        held: File descriptors that it inherits, with everything that it starts, such as that of a lock.
    """

    cwd: Path
    log: Path | None
    account: Account = Account()
    env: Mapping[str, str] | None = None
    held: tuple[int, ...] = ()


class Child:
    """One process that ends with this one. `end` waits for all that it started.

    Args:
        command: Program and arguments.
        launch: How to launch it.
        stop_signal: Signal that the watchdog sends if this process ends without having called `end`.

    Attributes:
        pid: Process id.

    Raises:
        SettingsError: The program cannot be run.
    """

    def __init__(self, command: Sequence[str], launch: Launch, stop_signal: signal.Signals) -> None:
        # PR_SET_PDEATHSIG is Linux only, and would end the child with the *thread* that started it.
        self._watchdog = subprocess.Popen(  # noqa: S603 - a constant script
            ["/bin/sh", "-c", _WATCHDOG, "watchdog", str(stop_signal.value)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        # All descendants inherit the writing end, so the reading end sees the last of them end.
        self._descendants, inherited = os.pipe()
        try:
            self._process = _spawn(command, launch, inherited)
        except SettingsError:
            self._release()
            raise
        finally:
            os.close(inherited)
        self.pid = self._process.pid
        cast("IO[bytes]", self._watchdog.stdin).write(f"{self.pid}\n".encode())

    @property
    def running(self) -> bool:
        """Return whether the process runs."""
        return self._process.poll() is None

    @property
    def exit_status(self) -> int | None:
        """Return the exit status; below 0: minus the signal that ended it; None: it runs."""
        return self._process.poll()

    def wait(self) -> int:
        """Wait until the process ends by itself, and return its exit status."""
        return self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    def end(self, how: signal.Signals, *, timeout_s: float) -> int:
        """Send `how`, then SIGKILL after `timeout_s`, and wait until the process and its descendants have ended.

        Returns:
            The exit status; below 0: minus the signal that ended it.

        Raises:
            DependencyError: A descendant still runs.
        """
        self._process.send_signal(how)
        self._process.send_signal(signal.SIGCONT)  # a stopped process takes no other signal
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        descendants = select.poll()
        descendants.register(self._descendants)
        gone = descendants.poll(timeout_s * 1000)
        self._release()
        if not gone:
            raise DependencyError(f"what process {self.pid} had started runs on {timeout_s:g} s after its end")
        return self._process.returncode

    def _release(self) -> None:
        self._watchdog.communicate(b"done\n")
        os.close(self._descendants)


def from_wheel(package: str, pattern: str) -> Path:
    """Find a file of an installed package without importing the package, which would have side effects.

    Args:
        package: Import name.
        pattern: Glob below the package's folder; the first match is returned.

    Raises:
        SettingsError: The package is not installed, or has no program for this machine.
    """
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations or []) if spec else []
    found = [path for folder in folders for path in Path(folder).glob(pattern)]
    if not found:
        raise SettingsError(f"there is no server in {package}: pip install 'sampling-worker[embedded]'")
    return found[0]


def _spawn(command: Sequence[str], launch: Launch, inherited: int) -> subprocess.Popen[bytes]:
    user, group, extra_groups = launch.account
    with launch.log.open("ab") if launch.log else nullcontext() as log:
        try:
            return subprocess.Popen(  # noqa: S603 - no shell, and the words are ours or the caller's
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT if log else None,
                cwd=launch.cwd,
                env=launch.env,
                pass_fds=(inherited, *launch.held),
                start_new_session=True,  # Ctrl-C in a terminal must not reach it: its owner stops it in order
                user=user,
                group=group,
                extra_groups=extra_groups,
            )
        except OSError as error:
            raise SettingsError(f"cannot run {command[0]} in {launch.cwd}: {error.strerror}") from error
