"""Read raw values from the environment, a `.env` file, and the files that `*_FILE` variables name.

It needs the standard library alone, unless a `.env` has settings of ours. So `health` starts fast.
"""

import os
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from worker.errors import SettingsError
from worker.settings.dotenv_file import read_dotenv
from worker.settings.names import FILE_SUFFIX, VARIABLES, list_unknown

DOTENV = Path(".env")
_LARGEST_VALUE = 1 << 20
_POSTGRES = (
    "PGHOST",
    "PGPORT",
    "PGUSER",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGDATABASE",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGSSLCRL",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLNEGOTIATION",
    "PGTARGETSESSIONATTRS",
)
_LONGEST_RANK = 9  # digits


def read_sources(
    environ: Mapping[str, str] | None = None, dotenv: Path = DOTENV, wanted: Collection[str] = VARIABLES
) -> list[Mapping[str, str]]:
    """Read the sources of settings. The first one has precedence.

    Args:
        environ: The environment; None: that of the process.
        dotenv: A file of `NAME=value` lines, which need not exist.
        wanted: Settings that are asked for. Lines of the file that give others are not checked.

    Raises:
        SettingsError: A line of the file that gives one of these is not valid.
    """
    return [process_environment() if environ is None else environ, read_dotenv(dotenv, wanted)]


def process_environment() -> Mapping[str, str]:
    """Return the environment of the process, without any file."""
    return os.environ


def resolve(names: Collection[str], sources: Iterable[Mapping[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
    """Find the values of variables: in the variable itself, or in the file that `<name>_FILE` names.

    Args:
        names: Variables to look for.
        sources: From `read_sources`. For each variable, the first source that gives it counts.

    Returns:
        The values by variable; and a sentence for each variable whose value cannot be read.
    """
    values: dict[str, str] = {}
    problems: dict[str, str] = {}
    for source in sources:
        for name in names:
            if name in values or name in problems:
                continue
            try:
                value = _find(name, source)
            except SettingsError as exc:
                problems[name] = str(exc)
                continue
            if value is not None:
                values[name] = value
    return values, problems


def unset_matplotlib_backend() -> None:
    """Unset `MPLBACKEND`. Notebooks set it for all that they start, and a picture file needs no backend."""
    os.environ.pop("MPLBACKEND", None)


def has_display() -> bool:
    """Return whether a browser can be opened: there is a desktop, or somebody has chosen a browser."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def list_unknown_names() -> list[str]:
    """List the variables of the environment that start with `WORKER_` but are no settings."""
    return list_unknown(os.environ)


def systemd_variables() -> tuple[str, float]:
    """Return what systemd gives to a service: the address of its socket, and the period of its watchdog in s.

    The address is empty where there is none, and the period 0 where there is no watchdog for this process.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    period = os.environ.get("WATCHDOG_USEC", "")
    is_ours = os.environ.get("WATCHDOG_PID", "") in {"", str(os.getpid())}
    is_known = address.startswith(("/", "@"))
    return address if is_known else "", int(period) / 1e6 if is_ours and period.isdecimal() else 0.0


def journal_stream() -> str:
    """Return device and inode of the socket to systemd's journal, as systemd names them; empty: there is none."""
    return os.environ.get("JOURNAL_STREAM", "")


def postgres_defaults() -> dict[str, str]:
    """Return libpq's variables of the environment. They complete a URL of PostgreSQL."""
    return {name: os.environ[name] for name in _POSTGRES if os.environ.get(name)}


def environment_with(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a worker that is started here: that of this process, with these settings only.

    Args:
        settings: Values by variable.
    """
    own = ("WORKER_", "REDIS_URL", "DATABASE_URL", "LOG_LEVEL", "LOG_FORMAT")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)} | dict(settings)


def read_rank() -> int:
    """Return the rank of this process in a distributed training, from the variable of its launcher; else 0."""
    rank = os.environ.get("RANK", "")
    return int(rank) if rank.isdecimal() and len(rank) <= _LONGEST_RANK else 0


def read_ranks() -> int:
    """Return the number of processes of a distributed training, from the variable of its launcher; else 1."""
    ranks = os.environ.get("WORLD_SIZE", "")
    return max(1, int(ranks)) if ranks.isdecimal() else 1


def default_run_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Return the folder of health files and consumer locks, for when `WORKER_RUN_DIR` is not set.

    A folder that the environment names counts only if this user may use it: `su` and `sudo` leave the variables of
    another user in place.

    Args:
        environ: The environment; None: that of the process.
    """
    environ = os.environ if environ is None else environ
    if (runtime_dir := Path(environ.get("XDG_RUNTIME_DIR") or "")).is_absolute() and _is_own(runtime_dir):
        return runtime_dir / "sampling-worker"
    # Not tempfile.gettempdir, which tries several: `health` must find the folder that the worker found.
    temporary = Path(environ.get("TMPDIR") or "")
    if not (temporary.is_absolute() and _is_open(temporary)):
        temporary = Path("/tmp")  # noqa: S108 - whoever makes the directory checks its owner
    return temporary / f"sampling-worker-{os.getuid()}"


def run_dirs(environ: Mapping[str, str] | None = None) -> list[Path]:
    """List the folders that may be the run directory of another process of this user.

    A shell of cron or of `su` has no `XDG_RUNTIME_DIR`, and one of systemd has it. Each has to find what the other
    runs.

    Args:
        environ: The environment; None: that of the process.
    """
    mine = default_run_dir(environ)
    session, temporary = Path(f"/run/user/{os.getuid()}/sampling-worker"), Path("/tmp")  # noqa: S108 - as above
    others = [session, temporary / f"sampling-worker-{os.getuid()}"]
    return [mine, *(folder for folder in others if folder != mine)]


def _is_own(folder: Path) -> bool:
    """Return whether this user owns a folder and may create files in it."""
    return _is_open(folder) and folder.stat().st_uid == os.getuid()


def _is_open(folder: Path) -> bool:
    """Return whether this user may create files in a folder."""
    return os.access(folder, os.W_OK | os.X_OK) and folder.is_dir()


def _find(name: str, source: Mapping[str, str]) -> str | None:
    """Find the value of one variable in one source, or in the file that it names."""
    by_file = name + FILE_SUFFIX
    if by_file not in source:
        return _text(name, source.get(name))
    if name in source:
        raise SettingsError(f"{name} and {by_file} are both given; accepted: one of them")
    path = source[by_file]
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            value = file.read(_LARGEST_VALUE + 1)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not text"
    else:
        if len(value) <= _LARGEST_VALUE:
            return value.rstrip("\r\n")
        reason = "it is larger than 1 MiB"
    raise SettingsError(
        f"{by_file}={path!r} cannot be read ({reason}); accepted: the path of a file that holds the value"
    )


def _text(name: str, value: str | None) -> str | None:
    """Return a value unchanged. It must be UTF-8, or it could not be sent to a server."""
    if value is not None and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise SettingsError(f"{name} is not text; accepted: UTF-8")
    return value


def user() -> str:
    """Return who runs this; a container's user may have no name."""
    import getpass  # noqa: PLC0415 - where a name is wanted

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return f"uid {os.getuid()}"
