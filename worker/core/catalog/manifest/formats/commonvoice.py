"""Common Voice: the durations of its clips, which stand in a file of their own.

Source: Common Voice, `clip_durations.tsv`: "clip" and "duration[ms]", separated by a tab.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from worker.core.catalog.manifest.lines import text_lines
from worker.core.catalog.manifest.notes import Notes
from worker.core.catalog.manifest.rows import seconds_of
from worker.errors import ManifestError

CLIP_DURATIONS: Final = "clip_durations.tsv"

_MS_A_SECOND = 1000


def clip_durations(name: str, portions: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """Read how long each clip is, in seconds, as text.

    Raises:
        ManifestError: A row is not a clip and a number of milliseconds.
    """
    for number, line in enumerate(text_lines(name, portions, Notes()), start=1):
        clip, _, written = line.strip().partition("\t")
        if number == 1 or not clip:
            continue
        try:
            yield clip, str(seconds_of(written.strip(), "duration[ms]") / _MS_A_SECOND)
        except ValueError as error:
            raise ManifestError(f"{name}, line {number}: {error}".replace("seconds", "milliseconds")) from error
