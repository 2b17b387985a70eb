"""Servers whose data last: they are written to disk, and the next start finds all of them.

What a power cut may lose: PostgreSQL nothing that was committed, Valkey the last second. The end of a process, even by
SIGKILL, loses nothing. Anybody on this machine can connect, but nobody as a superuser: a role that may run programs on
the server would be a way into this user's account. Valkey refuses to change such settings while it runs.

Whoever starts them holds a lock on the folder, so no other server works in it. Its `postmaster.pid` is then of no use,
and does harm: after a restart of the machine, its number may be that of any process.
"""

import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final

from worker.embedded.loopback import HOST
from worker.embedded.postgres import PostgresServer
from worker.embedded.redis import RedisServer
from worker.errors import DependencyError, SettingsError

ROLE: Final = "audio"
_RECOVERY_S: Final = 600.0
_CHECKPOINT_S: Final = 120.0
_SETUP: Final = f"create role {ROLE} login;\ncreate database {ROLE} owner {ROLE};\n"
_ACCESS: Final = f"host {ROLE} {ROLE} {HOST}/32 trust\n"
_RUN_SETUP: Final = 'exec "$1" --single -D "$2" postgres <setup.sql'
_VERSION: Final = re.compile(r"(?:\(PostgreSQL\) |v=)([0-9]+(?:\.[0-9]+)*)")


class LastingRedis(RedisServer):
    """A Valkey server with an append-only file, which is flushed to disk every second and at the end.

    Args:
        directory: Folder of its files.
        port: TCP port on 127.0.0.1; None: a free one.
        held: File descriptors that it inherits.
    """

    start_timeout_s = _RECOVERY_S
    stop_timeout_s = _CHECKPOINT_S

    def __init__(self, directory: Path, *, port: int | None, held: tuple[int, ...]) -> None:
        options = ["--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"]
        super().__init__(directory, port=port, options=options, held=held)

    def version(self) -> str:
        """Return the version of its program."""
        return _version_of(self._binary)


class LastingPostgres(PostgresServer):
    """A PostgreSQL server with fsync, and one role that is no superuser and owns one database.

    Args:
        directory: Folder of its files.
        port: TCP port on 127.0.0.1; None: a free one.
        held: File descriptors that it inherits.

    Raises:
        SettingsError: The wheel is not installed.
    """

    start_timeout_s = _RECOVERY_S
    stop_timeout_s = _CHECKPOINT_S
    _stop_signal = signal.SIGINT  # with a checkpoint, so that the next start has nothing to recover
    _initdb_options = ()

    def __init__(self, directory: Path, *, port: int | None, held: tuple[int, ...]) -> None:
        super().__init__(directory, port=port, options=("-c", "fsync=on"), held=held)

    @property
    def url(self) -> str:
        """Return the URL of its database."""
        return f"postgresql://{ROLE}@{HOST}:{self.port}/{ROLE}"

    def version(self) -> str:
        """Return the version of its program."""
        return _version_of(self._programs / "postgres")

    def _prepare(self) -> None:
        """Make the data where there are none, in a folder that gets its name when they are complete."""
        if not self._data.exists():
            unfinished = self._directory / "unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            self._launch = self._launch._replace(cwd=unfinished)
            super()._prepare()
            self._set_up(unfinished)
            unfinished.rename(self._data)
            self._launch = self._launch._replace(cwd=self._data)
            return
        self._refuse_other_version()
        super()._prepare()
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _set_up(self, data: Path) -> None:
        """Make the role and its database, by a server that listens nowhere."""
        script, access = data / "setup.sql", data / "pg_hba.conf"
        script.write_text(_SETUP)
        script.chmod(0o644)
        if not self._succeeds("/bin/sh", "-c", _RUN_SETUP, "setup", str(self._programs / "postgres"), self._place):
            raise DependencyError(f"PostgreSQL could not set up its data; its log ends with:\n{self._log_tail()}")
        script.unlink()
        access.write_text(_ACCESS)

    def _refuse_other_version(self) -> None:
        found, ours = (self._data / "PG_VERSION").read_text().strip(), self.version().partition(".")[0]
        if found != ours:
            raise SettingsError(
                f"{self._directory} holds data of PostgreSQL {found}, and PostgreSQL {ours} is installed; accepted: "
                "the installation that made it, or another folder by --data"
            )


def refuse_older(title: str, written: str, installed: str) -> None:
    """Refuse data that a newer program has written.

    Args:
        title: Name of the server.
        written: Version that has written the data; empty: not known.
        installed: Version of the program here.

    Raises:
        SettingsError: The data is newer.
    """
    if _numbers(written)[:2] > _numbers(installed)[:2]:
        raise SettingsError(
            f"the data were written by {title} {written}, and {title} {installed} is installed, which may not read "
            "them; accepted: the newer installation, or another folder by --data"
        )


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdecimal()]


def _version_of(program: Path) -> str:
    """Return what a program says of its version.

    Raises:
        SettingsError: It cannot be run.
    """
    try:
        ended = subprocess.run([program, "--version"], capture_output=True, check=False)  # noqa: S603 - of a wheel
    except OSError as error:
        raise SettingsError(f"cannot run {program}: {error.strerror}") from error
    found = _VERSION.search(ended.stdout.decode(errors="replace"))
    return found[1] if found else ""
