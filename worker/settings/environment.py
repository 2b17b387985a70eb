"""Read raw values from the environment, a `.env` file, and the files that `*_FILE` variables name.

Without a `.env` of ours it needs the standard library alone, so that `health` starts fast.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from worker.errors import SettingsError
from worker.settings.dotenv_file import read_dotenv
from worker.settings.names import FILE_SUFFIX, VARIABLES, others

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
    """Read the places where settings may stand, the strongest first.

    Args:
        environ: The environment; None: that of the process.
        dotenv: A file of `NAME=value` lines, which need not exist.
        wanted: Settings that are asked for; what the file says of others does not matter.

    Raises:
        SettingsError: A line of the file that gives one of these cannot be understood.
    """
    return [process_environment() if environ is None else environ, read_dotenv(dotenv, wanted)]


def process_environment() -> Mapping[str, str]:
    """Return the environment of the process, without any file."""
    return os.environ


def resolve(names: Collection[str], sources: Iterable[Mapping[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
    """Find the values of variables: given as such, or in a file that `<name>_FILE` names.

    Args:
        names: Variables to look for.
        sources: From `read_sources`; for each variable the first source that gives it decides.

    Returns:
        The values by variable, and for each variable that is given but cannot be had a sentence.
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


def forget_backend() -> None:
    """Forget which windows matplotlib is to draw in: notebooks tell all that they start, and a picture needs none."""
    os.environ.pop("MPLBACKEND", None)


def names_of_others() -> list[str]:
    """List the variables of the environment that begin as settings do, and are none."""
    return others(os.environ)


def postgres_defaults() -> dict[str, str]:
    """Read what libpq takes from the environment for a URL of PostgreSQL that leaves it out: by variable."""
    return {name: os.environ[name] for name in _POSTGRES if os.environ.get(name)}


def environment_with(settings: Mapping[str, str]) -> dict[str, str]:
    """Make the environment of a worker started from here: this process's, with these settings and no others.

    Args:
        settings: Values by variable.
    """
    own = ("WORKER_", "REDIS_URL", "DATABASE_URL", "LOG_LEVEL", "LOG_FORMAT")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)} | dict(settings)


def read_rank() -> int:
    """Tell which of the processes of a distributed training this is, by the variable that its launcher sets; else 0."""
    rank = os.environ.get("RANK", "")
    return int(rank) if rank.isdecimal() and len(rank) <= _LONGEST_RANK else 0


def read_ranks() -> int:
    """Tell how many processes a distributed training has, by the variable that its launcher sets; else 1."""
    ranks = os.environ.get("WORLD_SIZE", "")
    return max(1, int(ranks)) if ranks.isdecimal() else 1


def default_run_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Tell where health files and consumer locks live where `WORKER_RUN_DIR` does not say.

    A folder that the environment names counts where it can: `su` and `sudo` leave those of somebody else in it.

    Args:
        environ: The environment; None: that of the process.
    """
    environ = os.environ if environ is None else environ
    if (runtime_dir := Path(environ.get("XDG_RUNTIME_DIR") or "")).is_absolute() and _is_own(runtime_dir):
        return runtime_dir / "sampling-worker"
    # Not tempfile.gettempdir, which tries directories out: health has to come to the worker's answer.
    temporary = Path(environ.get("TMPDIR") or "")
    if not (temporary.is_absolute() and _is_open(temporary)):
        temporary = Path("/tmp")  # noqa: S108 - whoever makes the directory checks its owner
    return temporary / f"sampling-worker-{os.getuid()}"


def _is_own(folder: Path) -> bool:
    """Tell whether a folder is this user's, who may make something in it."""
    return _is_open(folder) and folder.stat().st_uid == os.getuid()


def _is_open(folder: Path) -> bool:
    """Tell whether this user may make something in a folder."""
    return os.access(folder, os.W_OK | os.X_OK) and folder.is_dir()


def _find(name: str, source: Mapping[str, str]) -> str | None:
    """Find one variable's value in one source, there or in the file it names."""
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
    """Return a value that is text, or none; what is no UTF-8 could not be sent to a server."""
    if value is not None and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise SettingsError(f"{name} is not text; accepted: UTF-8")
    return value
