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
from worker.report.page import render_page
from worker.report.reading import read_lines
from worker.report.records import Records, without_collections
from worker.report.summary import Summary, sum_up
from worker.report.timeline import build_timeline
from worker.settings.environment import unset_matplotlib_backend

_PAGE = ".html"
ENDINGS = (".png", ".svg", _PAGE)
_ACCEPTED = (
    "accepted: JSON lines of `sampling-worker run`, alone or in what Docker, Kubernetes, journald or a collector of "
    "logs has written around them"
)

__all__ = ["ENDINGS", "Summary", "draw_records", "make_report", "nothing_used", "require_drawing"]


def make_report(
    sources: Iterable[tuple[str, Iterable[str]]], picture: Path, *, with_checks: bool, last_s: float | None = None
) -> Summary:
    """Draw a picture of log lines, and sum them up.

    Args:
        sources: Names of files, and their lines.
        picture: File to write; an existing one is replaced.
        with_checks: Whether the draws of `check` count too.
        last_s: Length of the log's end that is drawn, in s; None: all.

    Raises:
        SettingsError: Nothing can be drawn from these lines.
        OutputError: The picture cannot be written.
    """
    require_drawing(picture)
    with without_collections():
        records = read_lines(sources, with_checks=with_checks, last_s=last_s)
        summary = draw_records(records, picture)
    if summary is None:
        raise SettingsError(nothing_used(records))
    return summary


def require_drawing(picture: Path) -> None:
    """Check that a picture of this name can be drawn here.

    Raises:
        SettingsError: It cannot.
    """
    if picture.suffix.lower() not in ENDINGS:
        raise SettingsError(
            f"--output {str(picture)!r} is not accepted; accepted: a file that ends in .png, .svg or .html"
        )
    if not importlib.util.find_spec("matplotlib"):
        raise SettingsError("there is no matplotlib to draw with: pip install 'sampling-worker[report]'")
    unset_matplotlib_backend()


def draw_records(records: Records, picture: Path, *, refresh_s: float | None = None) -> Summary | None:
    """Draw what was read so far, and sum it up.

    Args:
        records: What was read.
        picture: File to write; an existing one is replaced.
        refresh_s: After so many seconds a browser loads a page again; None: never.

    Returns:
        The summary, or None if there is nothing to draw.

    Raises:
        OutputError: The picture cannot be written.
    """
    timeline = build_timeline(records)
    if timeline is None:
        return None
    from worker.report.log_picture import draw_timeline  # noqa: PLC0415 - the extra is installed

    summary = sum_up(timeline, records)
    if picture.suffix.lower() == _PAGE:
        _write(picture, render_page(summary, draw_timeline(timeline, ".svg", is_alone=False), refresh_s=refresh_s))
    else:
        _write(picture, draw_timeline(timeline, picture.suffix))
    return summary


def nothing_used(records: Records) -> str:
    """Describe what is wrong with the lines, and what is accepted."""
    none = f"none of {plural(records.lines, 'line')} can be used"
    if records.console:
        return f"{none}: they are in the format for people; accepted: lines of a worker that runs with LOG_FORMAT=json"
    return f"{none}; {_ACCEPTED}"


def _write(picture: Path, drawn: bytes) -> None:
    """Write the picture to a temporary file first, so that nobody finds half a picture."""
    target = Path(os.path.realpath(picture))
    fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        fresh.write_bytes(drawn)
        fresh.replace(target)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise OutputError(f"cannot write {picture}: {error.strerror}") from error
