"""Category names, made out of what others call their categories."""

import re
import unicodedata

from worker.core.keys import CATEGORY_PATTERN

_LONGEST = 64


def category_name(text: str) -> str | None:
    """Turn a text into an accepted category name: "Conference calls" becomes conference-calls.

    Args:
        text: What somebody calls a category: a label, the name of a folder.

    Returns:
        1 to 64 of a-z, 0-9, _ and -; None if the text has no letter or digit that ASCII knows.
    """
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9_-]+", "-", ascii_only.lower()).strip("-")[:_LONGEST]
    return name if CATEGORY_PATTERN.fullmatch(name) else None
