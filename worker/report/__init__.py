"""Turn JSON logs, or the figures of benchmarks, into one picture and a few sentences.

Reading and adding up is apart from drawing: only `style`, `log_picture` and `bench_picture` know matplotlib, which
the extra `report` brings.
"""

import importlib.util
from collections.abc import Iterable
from pathlib import Path

from worker.errors import SettingsError
from worker.report.history import build_history
from worker.report.lines import read_lines
from worker.report.summary import Summary, sum_up_benches, sum_up_history
from worker.settings.environment import forget_backend

ENDINGS = (".png", ".svg")
_ACCEPTED = "accepted: JSON lines of `sampling-worker run`, or of a benchmark with --json"

__all__ = ["ENDINGS", "Summary", "make_report"]


def make_report(sources: Iterable[tuple[str, Iterable[bytes]]], picture: Path) -> Summary:
    """Draw a picture of what lines tell, and sum them up.

    Args:
        sources: Names of files, and their lines.
        picture: Where to draw it; what is there is replaced.

    Raises:
        SettingsError: It cannot be drawn there, or of these lines.
    """
    if picture.suffix.lower() not in ENDINGS:
        raise SettingsError(f"--output {str(picture)!r} is not accepted; accepted: a file that ends in .png or .svg")
    if not importlib.util.find_spec("matplotlib"):
        raise SettingsError("there is no matplotlib to draw with: pip install 'sampling-worker[report]'")
    forget_backend()
    reading = read_lines(sources)
    history = build_history(reading)
    if history is not None and reading.benches:
        raise SettingsError(
            "there are log lines and benchmark lines; accepted: either, and the other in its own report"
        )
    if history is not None:
        from worker.report.log_picture import draw_history  # noqa: PLC0415 - the extra, now that it is there

        summary, drawn = sum_up_history(history, reading), draw_history(history, picture.suffix)
    elif reading.benches:
        from worker.report.bench_picture import draw_benches  # noqa: PLC0415 - the same

        summary, drawn = sum_up_benches(reading.benches, reading), draw_benches(reading.benches, picture.suffix)
    else:
        raise SettingsError(f"none of {reading.lines:,} lines can be used; {_ACCEPTED}")
    try:
        picture.write_bytes(drawn)
    except OSError as error:
        raise SettingsError(f"cannot write {picture}: {error.strerror}") from error
    return summary
