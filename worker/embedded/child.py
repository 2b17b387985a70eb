"""Own child processes: they end when we end, and none of what they started is left behind."""

import importlib.util
import os
import select
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple, cast

from worker.errors import DependencyError, SettingsError

# Waits for the word of a clean end. Where we end without it, the pipe breaks and the server gets the signal.
_LEASH = 'read -r pid && { read -r word || kill -"$1" "$pid"; }'


class Account(NamedTuple):
    """Name the account that a child runs as; all None is our own."""

    user: int | None = None
    group: int | None = None
    extra_groups: tuple[int, ...] | None = None


class Place(NamedTuple):
    """Say where and as whom a child runs, and which file takes what it prints."""

    cwd: Path
    log: Path
    account: Account = Account()


class Child:
    """Own one process that ends when we end, and whose end is the end of all that it started.

    Args:
        command: Its program and arguments.
        place: Where and as whom it runs.
        farewell: What it is sent if we end without having ended it, be it by SIGKILL.

    Attributes:
        pid: Its process id.

    Raises:
        SettingsError: The program cannot be run.
    """

    def __init__(self, command: Sequence[str], place: Place, farewell: signal.Signals) -> None:
        # PR_SET_PDEATHSIG would be Linux only, and would end the child with the *thread* that started it.
        self._leash = subprocess.Popen(  # noqa: S603 - a constant script
            ["/bin/sh", "-c", _LEASH, "leash", str(farewell.value)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        # All that the process starts inherits the writing end: the reading end sees the last of them go.
        self._kin, inherited = os.pipe()
        try:
            self._process = _spawn(command, place, inherited)
        except SettingsError:
            self._let_go()
            raise
        finally:
            os.close(inherited)
        self.pid = self._process.pid
        cast("IO[bytes]", self._leash.stdin).write(f"{self.pid}\n".encode())

    @property
    def running(self) -> bool:
        """Tell whether the process is there."""
        return self._process.poll() is None

    def wait(self) -> int:
        """Wait for the process to end by itself and return its exit status."""
        return self._process.wait()

    def end(self, how: signal.Signals, *, timeout_s: float) -> None:
        """Send `how`, then SIGKILL after `timeout_s`, and wait until the process and its kin are gone.

        Raises:
            DependencyError: Something that the process had started runs on.
        """
        self._process.send_signal(how)
        self._process.send_signal(signal.SIGCONT)  # a stopped process would not hear the first one
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        kin = select.poll()
        kin.register(self._kin)
        gone = kin.poll(timeout_s * 1000)
        self._let_go()
        if not gone:
            raise DependencyError(f"what process {self.pid} had started runs on {timeout_s:g} s after its end")

    def _let_go(self) -> None:
        self._leash.communicate(b"done\n")
        os.close(self._kin)


def from_wheel(package: str, pattern: str) -> Path:
    """Find a file of an installed package without importing it, which would have side effects.

    Args:
        package: Import name.
        pattern: Glob below the package's folder; the first match counts.

    Raises:
        SettingsError: The package is not installed, or not for this machine.
    """
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations or []) if spec else []
    found = [path for folder in folders for path in Path(folder).glob(pattern)]
    if not found:
        raise SettingsError(f"there is no server in {package}: pip install 'sampling-worker[embedded]'")
    return found[0]


def _spawn(command: Sequence[str], place: Place, inherited: int) -> subprocess.Popen[bytes]:
    user, group, extra_groups = place.account
    with place.log.open("ab") as log:
        try:
            return subprocess.Popen(  # noqa: S603 - no shell, and the words are ours or the caller's
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=place.cwd,
                pass_fds=(inherited,),
                start_new_session=True,  # Ctrl-C in a terminal is for us alone: we stop the servers in order
                user=user,
                group=group,
                extra_groups=extra_groups,
            )
        except OSError as error:
            raise SettingsError(f"cannot run {command[0]} in {place.cwd}: {error.strerror}") from error
