"""The cursor of a session in a course, and its text in Redis; see `passes`.

A course is what a session goes through in passes. Its name is a category, or `voice+val` where requests name a split.
So requests of one split leave the passes of the others as they are. Requests that draw length buckets go through each
length class by itself: `voice~5792` are the chunks of the class whose longest last 5.792 s; see `length_classes`.
"""

import hashlib
import re
from typing import Final, NamedTuple

from worker.core.keys import CATEGORY_PATTERN, SPLIT_PATTERN

_LAST_PASS = 2**53
_MOST_OWED = 65_536  # ranks: a request skips fewer chunks than it gets
_RANK = "[0-9a-f]{16}"
_COURSE: Final = re.compile(f"({CATEGORY_PATTERN.pattern})((?:[+]{SPLIT_PATTERN.pattern})?)((?:~[1-9][0-9]{{0,9}})?)")
_ROUND_DIGITS: Final = 2  # so a session has at most 256 rounds, whatever its requests ask for
_ROUND: Final = re.compile(f"~[0-9a-f]{{{_ROUND_DIGITS}}}")
_TEXT: Final = re.compile(f"([1-9][0-9]{{0,15}}):((?:{_RANK})?):((?:{_RANK}(?:,{_RANK})*)?)")


class Cursor(NamedTuple):
    """How far a session has come in a course.

    Attributes:
        number: The pass, from 1.
        last: Rank of the last chunk drawn in it; -1 before the first.
        owed: Ranks up to `last` that were skipped in this pass. Their request had drawn those chunks at the end of the
            previous pass. They are drawn first.
    """

    number: int = 1
    last: int = -1
    owed: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """Write the cursor as its field in Redis: pass, rank in hex, owed ranks."""
        last = "" if self.last < 0 else f"{self.last:016x}"
        return ":".join((str(self.number), last, ",".join(f"{rank:016x}" for rank in self.owed)))

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read a cursor from its field in Redis.

        Raises:
            ValueError: The text is not what `text` writes.
        """
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError("no pass, rank and ranks owed with colons between")
        last, owed = int(found[2], 16) if found[2] else -1, [int(rank, 16) for rank in found[3].split(",") if rank]
        if int(found[1]) > _LAST_PASS or len(owed) > _MOST_OWED:
            raise ValueError("a pass or a number of ranks beyond what any session reaches")
        return cls(int(found[1]), last, tuple(owed))


def course_name(category: str, split: str | None, longest_ms: int | None = None) -> str:
    """Return the name of a course.

    Args:
        category: A category name.
        split: The split that requests name; None if they name none.
        longest_ms: The longest duration of the length class that it is; None if it is all chunks.
    """
    name = category if split is None else f"{category}+{split}"
    return name if longest_ms is None else f"{name}~{longest_ms}"


def read_course(name: str) -> tuple[str, str, str]:
    """Return category, split with its mark, and length class with its mark; the last two may be empty.

    Raises:
        ValueError: No course of this name can exist.
    """
    found = _COURSE.fullmatch(name)
    if found is None:
        raise ValueError("no category, split and length class")
    return found[1], found[2], found[3]


def is_course(name: str) -> bool:
    """Return whether a course of this name can exist, or a round."""
    return is_round(name) or _COURSE.fullmatch(name) is not None


def round_name(asked: tuple[object, ...]) -> str:
    """Return the name of a round: the buckets that a session draws for requests that ask for the same.

    Its cursor's pass is the number of the next bucket. It is kept as those of courses are. Requests that ask for
    something else may share a round: each then goes through some of its numbers.

    Args:
        asked: What such requests have in common.
    """
    return f"~{hashlib.sha256(repr(asked).encode()).hexdigest()[:_ROUND_DIGITS]}"


def is_round(name: str) -> bool:
    """Return whether a round of this name can exist."""
    return _ROUND.fullmatch(name) is not None
