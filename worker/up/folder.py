"""The data folder of an `up`: where it is, who may use it, what is noted in it, and who works in it now.

    DIR/up.json       that the folder is ours; ports and versions of the servers
    DIR/lock          locked by the `up` that works here, and by its servers
    DIR/running.json  the announcement of that `up`
    DIR/valkey/ DIR/postgresql/ DIR/worker.log

The kernel releases the lock when the last process that inherited it ends. So after a SIGKILL of `up`, the next one can
see whether its servers still run.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from worker.errors import DependencyError, SettingsError
from worker.run_dir.announcement import Announcement, read_announcement
from worker.run_dir.processes import is_alive, process_start

NAME: Final = "sampling-worker"
_MARK: Final = "up.json"
_LOCK: Final = "lock"
_LAYOUT: Final = 1
_ROOM: Final = 256 << 20  # new servers write 60 MB, before anything is registered
_ROOM_AGAIN: Final = 64 << 20
_PRIVATE, _PASSABLE = 0o700, 0o711
_MIB: Final = 1 << 20
_ACCEPTED: Final = "accepted: --data DIR, an empty folder of this user or one that `up` has made"


def default_data() -> Path:
    """Return the data folder of this user.

    Raises:
        SettingsError: The extra is not installed, or this user has no home folder.
    """
    try:
        from platformdirs import user_data_path  # noqa: PLC0415 - of the extra `embedded`
    except ImportError:
        raise SettingsError("there is no platformdirs: pip install 'sampling-worker[embedded]'") from None
    found = user_data_path(NAME, appauthor=False)
    if not found.is_absolute():
        raise SettingsError(f"this user's data folder would be {str(found)!r}, which is not absolute; {_ACCEPTED}")
    return found


class DataFolder:
    """A data folder.

    Attributes:
        path: Where it is.
        notes: What is noted of the servers: name -> {"port", "version"}.

    Raises:
        SettingsError: It cannot be used, and the sentence says why.
    """

    def __init__(self, path: Path) -> None:
        self.path = _made(path)
        self.notes: dict[str, dict[str, Any]] = {}

    @property
    def announcement(self) -> Path:
        """Return the file that announces the `up` that works here."""
        return self.path / "running.json"

    @property
    def log(self) -> Path:
        """Return the worker's log."""
        return self.path / "worker.log"

    @property
    def running(self) -> Announcement | None:
        """Return the `up` that works here and has got as far as to announce itself."""
        return read_announcement(self.announcement)

    def check_room(self) -> None:
        """Refuse a folder on a disk without room.

        Raises:
            SettingsError: There is no room.
        """
        needed = _ROOM_AGAIN if self.notes else _ROOM
        if (free := self.free_bytes()) < needed:
            raise SettingsError(
                f"{free // _MIB:,} MiB are free in the data folder {self.path}, and {needed // _MIB} MiB are needed; "
                "accepted: more room, or --data DIR on another disk"
            )

    def free_bytes(self) -> int:
        """Return how much room this user has on its disk."""
        return shutil.disk_usage(self.path).free

    def try_lock(self) -> int | None:
        """Lock the folder for this process, and what inherits the lock.

        Returns:
            The file descriptor of the lock; None: another `up` or its servers have it.

        Raises:
            SettingsError: The file system has no locks.
        """
        opened = None
        try:
            opened = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.announcement.unlink(missing_ok=True)  # of one that was killed
            os.ftruncate(opened, 0)
            os.write(opened, f"{os.getpid()} {process_start(os.getpid())}".encode())
        except OSError as error:
            if opened is not None:
                os.close(opened)
            if isinstance(error, BlockingIOError):
                return None
            raise SettingsError(
                f"the data folder {self.path} cannot be locked ({error.strerror}); {_ACCEPTED}"
            ) from error
        self.notes = self._read()
        return opened

    def starter(self) -> int | None:
        """Return the process of the `up` that has the lock; None: only servers of an `up` that ended have it."""
        with suppress(OSError, ValueError):
            pid, _, started = (self.path / _LOCK).read_text().partition(" ")
            return int(pid) if is_alive(int(pid), started) else None
        return None

    def note(self, server: str, **facts: object) -> None:
        """Note something about a server, to last.

        Raises:
            DependencyError: It cannot be written.
        """
        self.notes[server] = {**self.notes.get(server, {}), **facts}
        self._write({"layout": _LAYOUT, **self.notes})

    def noted_port(self, server: str) -> int | None:
        """Return the port that a server had the last time; None: it has not run yet."""
        port = self.notes.get(server, {}).get("port")
        return port if isinstance(port, int) else None

    def _read(self) -> dict[str, dict[str, Any]]:
        mark = self.path / _MARK
        try:
            found = json.loads(mark.read_text())
            layout = found.pop("layout")
            notes = {name: dict(facts) for name, facts in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise SettingsError(f"{mark} cannot be read ({type(error).__name__}); {_ACCEPTED}") from error
        if layout != _LAYOUT:
            raise SettingsError(
                f"the data folder {self.path} has layout {layout}, and this version of sampling-worker knows "
                f"{_LAYOUT}; accepted: the version that made it, or another folder by --data"
            )
        return notes

    def _write(self, content: Mapping[str, object]) -> None:
        mark = self.path / _MARK
        fresh = mark.with_suffix(".new")
        try:
            with fresh.open("w") as file:
                json.dump(content, file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(mark)
        except OSError as error:
            raise DependencyError(f"{mark} cannot be written: {error.strerror}") from error


def _made(path: Path) -> Path:
    """Make a folder that is only this user's; return its real path."""
    try:
        path = Path(os.path.realpath(path))
        path.mkdir(parents=True, exist_ok=True)
        found = path.stat()
        if found.st_uid != os.geteuid():
            raise SettingsError(f"the data folder {path} belongs to another user; {_ACCEPTED}")
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise SettingsError(f"the data folder {path} cannot be written; {_ACCEPTED}")
        _refuse_others(path)
        # Root runs PostgreSQL as nobody, who has to pass through.
        path.chmod(_PASSABLE if os.geteuid() == 0 else _PRIVATE)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingsError(f"the data folder {path} cannot be made ({reason}); {_ACCEPTED}") from error
    return path


def _refuse_others(path: Path) -> None:
    """Refuse a folder that holds something else, before anything is written into it."""
    found = sorted(entry.name for entry in path.iterdir())
    if not {_MARK, _LOCK} & {*found} and found:
        raise SettingsError(f"the data folder {path} holds something else, such as {found[0]!r}; {_ACCEPTED}")
