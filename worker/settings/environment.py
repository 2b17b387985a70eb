"""Read raw values from the environment, a `.env` file, and the files that `*_FILE` variables name.

Without a `.env` it needs the standard library alone, so that `health` starts fast.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from worker.errors import SettingsError

DOTENV = Path(".env")
FILE_SUFFIX = "_FILE"


def read_sources(environ: Mapping[str, str] | None = None, dotenv: Path = DOTENV) -> list[Mapping[str, str]]:
    """Read the places where settings may stand, the strongest first.

    Args:
        environ: The environment; None: that of the process.
        dotenv: A file of `NAME=value` lines, which need not exist.

    Raises:
        SettingsError: The file cannot be read, or a line of it cannot be understood.
    """
    return [os.environ if environ is None else environ, _read_dotenv(dotenv)]


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
    return int(rank) if rank.isdecimal() else 0


def read_ranks() -> int:
    """Tell how many processes a distributed training has, by the variable that its launcher sets; else 1."""
    ranks = os.environ.get("WORLD_SIZE", "")
    return max(1, int(ranks)) if ranks.isdecimal() else 1


def default_run_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Tell where health files and consumer locks live where `WORKER_RUN_DIR` does not say.

    Args:
        environ: The environment; None: that of the process.
    """
    environ = os.environ if environ is None else environ
    if runtime_dir := environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime_dir, "sampling-worker")
    # Not tempfile.gettempdir, which tries directories out: health has to come to the worker's answer.
    temporary = environ.get("TMPDIR") or "/tmp"  # noqa: S108 - whoever makes the directory checks its owner
    return Path(temporary, f"sampling-worker-{os.getuid()}")


def _find(name: str, source: Mapping[str, str]) -> str | None:
    """Find one variable's value in one source, there or in the file it names."""
    by_file = name + FILE_SUFFIX
    if by_file not in source:
        return source.get(name)
    if name in source:
        raise SettingsError(f"{name} and {by_file} are both given; accepted: one of them")
    path = source[by_file]
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not text"
        raise SettingsError(
            f"{by_file}={path!r} cannot be read ({reason}); accepted: the path of a file that holds the value"
        ) from exc


def _read_dotenv(path: Path) -> dict[str, str]:
    """Read the `NAME=value` lines of a file, if it exists."""
    try:
        if not path.is_file():
            return {}
        stream = path.open(encoding="utf-8")
    except OSError as exc:
        raise SettingsError(f"{path} cannot be read ({exc.strerror}); accepted: a readable file") from exc
    # Only who has a .env pays for the import.
    from dotenv.parser import parse_stream  # noqa: PLC0415

    with stream:
        try:
            bindings = list(parse_stream(stream))
        except UnicodeDecodeError as exc:
            raise SettingsError(f"{path} is not text; accepted: lines of NAME=value in UTF-8") from exc
    for binding in bindings:
        if binding.error:
            raise SettingsError(f"{path}, line {binding.original.line}, is not understood; accepted: NAME=value")
    return {b.key: b.value for b in bindings if b.key is not None and b.value is not None}
