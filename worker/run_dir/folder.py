"""The folder of health files and consumer locks: only this user can write in it.

It may be inside a folder that everybody can write to, such as /tmp. So it is refused if it is a link, or if others can
write in it. No file in it is opened through a link either, or somebody else could choose which file we empty.
"""

import os
import stat
from pathlib import Path

from worker.errors import SettingsError

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OWN = 0o077
_READABLE = 0o644


def prepare_run_dir(run_dir: Path) -> Path:
    """Create the folder of health files and consumer locks, for this user only.

    Raises:
        SettingsError: It cannot be created, or others can write in it.
    """
    umask = os.umask(_OWN)
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        reason = problem_of(run_dir)
    except OSError as error:
        reason = error.strerror or type(error).__name__
    finally:
        os.umask(umask)
    if reason is None:
        return run_dir
    raise SettingsError(
        f"WORKER_RUN_DIR={run_dir} cannot be used ({reason}); "
        "accepted: a directory of this user, in which no other writes"
    )


def open_own(path: Path, mode: int = _READABLE) -> int:
    """Open a file of the folder, empty, for writing; never follow a link.

    Args:
        path: The file, which need not exist.
        mode: Its permissions. By default, whoever can read the folder can read the file.

    Returns:
        A file descriptor.

    Raises:
        OSError: It cannot be opened, or is a link.
    """
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    os.fchmod(opened, mode)  # whatever the umask
    return opened


def read_own(path: Path) -> str:
    """Return the text of a file of the folder; never follow a link, and never block.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read, or is a link.
        ValueError: It is not text.
    """
    opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(opened, encoding="utf-8") as file:
        return file.read()


def problem_of(run_dir: Path) -> str | None:
    """Return why a folder cannot be used, or None.

    Raises:
        OSError: It cannot be looked at.
    """
    found = run_dir.lstat()
    if stat.S_ISLNK(found.st_mode):
        return "it is a symbolic link"
    if found.st_uid != os.getuid() or not os.access(run_dir, os.W_OK | os.X_OK):
        return "it is not this user's, or cannot be written"
    if found.st_mode & _OTHERS_WRITE:
        return f"others may write in it: `chmod go-w {run_dir}` ends that"
    return None
