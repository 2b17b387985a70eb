"""The options of a scan: where categories and splits come from, and how files are cut."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from worker.core.catalog.naming import made_name
from worker.core.catalog.scan.segments import Segments
from worker.core.catalog.scan.splitting import By
from worker.core.keys import CATEGORY_PATTERN
from worker.errors import ScanError

SPLIT_PATTERN: Final = re.compile(r"[a-z0-9_-]{1,32}")

_SHARE: Final = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(%?)", re.ASCII)
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Rules:
    """Where the category and the split of a file come from.

    Attributes:
        category: The category of all files; None: by `category_from`.
        category_from: A pattern of paths or a regular expression, see `worker.core.catalog.scan.patterns`; None: the
            category is the first folder.
        splits: Name and share of each split that a hash of the path decides.
        by: Whether that is the path of the file, or of its folder.
    """

    category: str | None = None
    category_from: str | None = None
    splits: tuple[tuple[str, float], ...] = ()
    by: By = "file"


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """The options of a scan.

    Attributes:
        rules: Where categories and splits come from.
        segments: How files are cut; None: each file is one chunk.
        prune: Whether chunks whose file is gone are deleted, instead of marked FAILED.
        dry_run: Whether everything is done but written.
    """

    rules: Rules = Rules()
    segments: Segments | None = None
    prune: bool = False
    dry_run: bool = False


def check_category(name: str) -> str:
    """Return a category that somebody typed.

    Raises:
        ScanError: It is no category name.
    """
    if CATEGORY_PATTERN.fullmatch(name):
        return name
    hint = f"; the nearest accepted name is {made_name(name)}" if name else ""
    raise ScanError(f"category {name!r} is not 1 to 64 of a-z, 0-9, _ and -{hint}")


def parse_splits(words: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """Read words such as `val=0.05` or `val=5%`.

    Raises:
        ScanError: A word is not of this form, a name comes twice, or the shares are more than 1 in all.
    """
    shares: dict[str, float] = {}
    for word in words:
        name, share = _parse_split(word)
        if name in shares:
            raise ScanError(f"split {name} is given twice")
        shares[name] = share
    if (total := sum(shares.values())) > 1 + _ROUNDING:
        raise ScanError(f"the splits ask for {total:g} of the files in all; accepted is at most 1")
    return tuple(shares.items())


def _parse_split(word: str) -> tuple[str, float]:
    """Read one word.

    Raises:
        ScanError: It is not of this form.
    """
    name, _, text = word.partition("=")
    if not SPLIT_PATTERN.fullmatch(name):
        raise ScanError(f"split {word!r} is not NAME=SHARE with a name of 1 to 32 of a-z, 0-9, _ and -, as val=0.05")
    found = _SHARE.fullmatch(text)
    share = float(text.rstrip("%")) / (100 if text.endswith("%") else 1) if found else -1.0
    if not 0 <= share <= 1:
        raise ScanError(f"the share of split {name}, {text!r}, is not a number from 0 to 1, as val=0.05")
    return name, share


def check_segments(length_s: float | None, hop_s: float | None, shortest_s: float | None) -> Segments | None:
    """Put together how files are cut.

    Args:
        length_s: Length of a chunk, in seconds; None: files are not cut.
        hop_s: From start to start, in seconds; None: `length_s`.
        shortest_s: The shortest last piece, in seconds; None: a tenth of `length_s`.

    Raises:
        ScanError: They do not go together.
    """
    if length_s is None:
        if hop_s is not None or shortest_s is not None:
            raise ScanError(f"{'--hop' if hop_s is not None else '--shortest'} is for --segment, which is not given")
        return None
    if shortest_s is not None and shortest_s > length_s:
        raise ScanError(f"--shortest {shortest_s:g} is more than --segment {length_s:g}; accepted is at most that")
    return Segments(length_s, hop_s, shortest_s)
