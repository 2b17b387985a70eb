"""The folder of health files and consumer locks: this user's alone, whoever else may write beside it.

It may stand in a folder that everybody writes to. So it is refused where it is a link, or where others may write in it,
and nothing in it is opened through a link: else somebody else would choose which file is emptied.
"""

import os
import stat
from pathlib import Path

from worker.errors import SettingsError

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OWN = 0o077
_READABLE = 0o644


def prepare_run_dir(run_dir: Path) -> Path:
    """Make the folder of health files and consumer locks, for this user alone.

    Raises:
        SettingsError: It cannot be made, or is not this user's alone.
    """
    umask = os.umask(_OWN)
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        reason = _problem(run_dir)
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


def open_own(path: Path) -> int:
    """Open a file of the folder to write it anew, and never one that a link leads to.

    Args:
        path: The file, which need not exist.

    Returns:
        A file descriptor; the file is empty, and whoever may look into the folder may read it.

    Raises:
        OSError: It cannot be opened, or is a link.
    """
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, _READABLE)
    os.fchmod(opened, _READABLE)  # whatever the umask
    return opened


def read_own(path: Path) -> str:
    """Read a file of the folder, and never one that a link leads to or that blocks.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read, or is a link.
        ValueError: It is not text.
    """
    opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(opened, encoding="utf-8") as file:
        return file.read()


def _problem(run_dir: Path) -> str | None:
    """Return why a folder cannot be used."""
    found = run_dir.lstat()
    if stat.S_ISLNK(found.st_mode):
        return "it is a symbolic link"
    if found.st_uid != os.getuid() or not os.access(run_dir, os.W_OK | os.X_OK):
        return "it is not this user's, or cannot be written"
    if found.st_mode & _OTHERS_WRITE:
        return f"others may write in it: `chmod go-w {run_dir}` ends that"
    return None
