"""Cut a file into the chunks that are registered of it."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

_DIGITS: Final = 6  # microseconds
_DEFAULT_SHORTEST: Final = 0.1


class Span(NamedTuple):
    """A part of a file.

    Attributes:
        start_s: Where it begins, in seconds; None: it is the whole file.
        duration_s: Its length in seconds.
    """

    start_s: float | None
    duration_s: float


@dataclass(frozen=True, slots=True)
class Segments:
    """How files are cut.

    Attributes:
        length_s: Length of a chunk, in seconds.
        hop_s: From the start of one chunk to the next, in seconds; None: `length_s`.
        shortest_s: A shorter last piece is left out, in seconds. None: a tenth of `length_s`, but a file is never left
            out as a whole.
    """

    length_s: float
    hop_s: float | None = None
    shortest_s: float | None = None


def cut(duration_s: float, segments: Segments | None) -> Iterator[Span]:
    """Yield the chunks of a file in order; the last one ends with it.

    Args:
        duration_s: Length of the file in seconds, above 0.
        segments: How it is cut; None: not at all.
    """
    if segments is None:
        yield Span(None, duration_s)
        return
    length_s, shortest_s = segments.length_s, segments.shortest_s
    hop_s = length_s if segments.hop_s is None else segments.hop_s
    least_s = _DEFAULT_SHORTEST * length_s if shortest_s is None else shortest_s
    for number in itertools.count():
        start_s = round(number * hop_s, _DIGITS)
        left_s = round(duration_s - start_s, _DIGITS)
        piece_s = min(length_s, left_s)
        if piece_s > 0 and (piece_s >= least_s or (number == 0 and shortest_s is None)):
            yield Span(start_s, piece_s)
        if left_s <= length_s:
            return
