"""The warning where one file has much of its category's seconds."""

from collections.abc import Iterable

from worker.adapters.postgres.dominant import DominantFile
from worker.cli.output import complain
from worker.cli.words import clock_text, share_text


def warn_of_dominant(files: Iterable[DominantFile]) -> None:
    """Warn of each file that has more than a third of its category's seconds.

    Args:
        files: From `worker.adapters.postgres.dominant.dominant_files`.
    """
    for one in files:
        share, seconds = share_text(one.duration_s / one.of_s), clock_text(one.duration_s)
        complain(
            f"category {one.category}: one file has {share} of it, {seconds} of {clock_text(one.of_s)}: {one.path}"
        )
