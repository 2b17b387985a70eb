"""The separator of CSV columns, found from the header."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from worker.core.catalog.manifest.columns import plain_names
from worker.core.catalog.manifest.hints import NAMES
from worker.core.catalog.manifest.shapes import COMMON_VOICE

_TAB: Final = "\t"


@dataclass(frozen=True, slots=True)
class Separation:
    """How the cells of a row are separated.

    Attributes:
        delimiter: The character between two cells.
        has_quotes: Whether a cell may stand in double quotes; otherwise they are part of it.
    """

    delimiter: str = ","
    has_quotes: bool = True


COMMA: Final = Separation()
_OTHERS: Final = (";", _TAB)


def separation_of(header: str, asked: Collection[str], format_: str | None) -> Separation:
    """Return the separator of a header: the one that gives the most known names.

    Args:
        header: The first line.
        asked: Names of columns that were asked for.
        format_: Name of the format that was asked for; None: none.
    """
    known = NAMES | COMMON_VOICE.columns | {*asked}
    counts = {one: len(known & {*plain_names(_cells(header, one))}) for one in (COMMA.delimiter, *_OTHERS)}
    found = max(counts, key=lambda one: (counts[one], one == COMMA.delimiter))
    if not counts[found] and COMMA.delimiter not in header:
        found = max(_OTHERS, key=header.count) if any(one in header for one in _OTHERS) else found
    # Sentences there have quotes of their own, which nothing closes.
    is_common_voice = format_ == COMMON_VOICE.name or COMMON_VOICE.columns <= {*plain_names(_cells(header, _TAB))}
    return Separation(found, has_quotes=not (found == _TAB and is_common_voice))


def _cells(header: str, delimiter: str) -> list[str]:
    return [cell.strip().strip('"') for cell in header.split(delimiter)]
