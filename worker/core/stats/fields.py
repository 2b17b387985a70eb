"""The kinds of fields of a stats hash. A field's name is its kind, a dataset, and a category, code or mixture.

Counts by split have no dataset: the rest of such a name is the split.
"""

from typing import Final

MICRO: Final = 1_000_000
REQUESTS: Final = "requests"
ERRORS: Final = "errors"
CHUNKS: Final = "chunks"
EXPECTED: Final = "expected"
VARIANCE: Final = "variance"
DRAWN: Final = "drawn"
MIXTURE: Final = "mixture"
SPLIT_REQUESTS: Final = "split_requests"
SPLIT_CHUNKS: Final = "split_chunks"
MS: Final = "ms"
SQUARED_MS: Final = "squared_ms"

Pair = tuple[str, str]
"""Two kinds that hold one amount: whole numbers, and millionths."""

EXPECTED_S: Final[Pair] = ("expected_s", "expected_us")
VARIANCE_S2: Final[Pair] = ("variance_s2", "variance_ms2")
SQUARES_S2: Final[Pair] = ("squares_s2", "squares_ms2")
WIDE_S: Final[Pair] = ("wide_s", "wide_us")
WIDE_S2: Final[Pair] = ("wide_s2", "wide_ms2")
DRAWN_S: Final[Pair] = ("drawn_s", "drawn_us")
DRAWN_S2: Final[Pair] = ("drawn_s2", "drawn_ms2")


def split(name: str) -> tuple[str, str, str]:
    """Split a field's name into kind, dataset (a preset has a colon in it), and category, code, mixture or split."""
    kind, _, rest = name.partition(":")
    dataset, _, last = (rest, "", "") if kind == REQUESTS else rest.rpartition(":")
    return kind, dataset, last
