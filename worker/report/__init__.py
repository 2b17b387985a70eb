"""Turn JSON logs of workers into one picture and a few sentences.

Reading and summing are apart from drawing. Only `style`, `log_picture` and its panels use matplotlib, which the extra
`report` installs.
"""

import importlib.util
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from worker.core.wording import plural
from worker.errors import OutputError, SettingsError
from worker.report.reading import read_lines
from worker.report.records import Reading
from worker.report.summary import Summary, sum_up_history
from worker.report.timeline import build_history
from worker.settings.environment import forget_backend

ENDINGS = (".png", ".svg")
_ACCEPTED = (
    "accepted: JSON lines of `sampling-worker run`, alone or in what Docker, Kubernetes, journald or a collector of "
    "logs has written around them"
)

__all__ = ["ENDINGS", "Summary", "make_report"]


def make_report(sources: Iterable[tuple[str, Iterable[str]]], picture: Path, *, with_checks: bool) -> Summary:
    """Draw a picture of what lines tell, and sum them up.

    Args:
        sources: Names of files, and their lines.
        picture: Where to draw it; what is there is replaced.
        with_checks: Whether what `check` has drawn counts, too.

    Raises:
        SettingsError: It cannot be drawn of these lines.
        OutputError: The picture cannot be written.
    """
    if picture.suffix.lower() not in ENDINGS:
        raise SettingsError(f"--output {str(picture)!r} is not accepted; accepted: a file that ends in .png or .svg")
    if not importlib.util.find_spec("matplotlib"):
        raise SettingsError("there is no matplotlib to draw with: pip install 'sampling-worker[report]'")
    forget_backend()
    reading = read_lines(sources, with_checks=with_checks)
    history = build_history(reading)
    if history is None:
        raise SettingsError(_nothing_used(reading))
    from worker.report.log_picture import draw_history  # noqa: PLC0415 - the extra, now that it is there

    _write(picture, draw_history(history, picture.suffix))
    return sum_up_history(history, reading)


def _nothing_used(reading: Reading) -> str:
    """Say what the lines look like, and what is accepted."""
    none = f"none of {plural(reading.lines, 'line')} can be used"
    if reading.console:
        return f"{none}: they are written for people; accepted: those of a worker that runs with LOG_FORMAT=json"
    return f"{none}; {_ACCEPTED}"


def _write(picture: Path, drawn: bytes) -> None:
    """Write a picture under another name first: half of one must not pass for a whole one."""
    target = Path(os.path.realpath(picture))
    fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        fresh.write_bytes(drawn)
        fresh.replace(target)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise OutputError(f"cannot write {picture}: {error.strerror}") from error
