"""Shell patterns of paths, for PostgreSQL."""

import re
from typing import Final

_SET: Final = re.compile(r"\[(!?)(\]?[^\]]*)\]")


def glob_expression(pattern: str) -> str:
    """Write a pattern as a regular expression of PostgreSQL that fits whole paths.

    Args:
        pattern: `*` stands for any characters, / too; `?` for one; `[abc]`, `[a-c]` and `[!abc]` for one of a set.
    """
    written, at = ["^(?:"], 0
    while at < len(pattern):
        letter, found = pattern[at], _SET.match(pattern, at)
        if found:
            inner = re.sub(r"([\\\[\]^])", r"\\\1", found[2])
            written.append(f"[{'^' if found[1] else ''}{inner}]")
            at = found.end()
            continue
        written.append({"*": ".*", "?": "."}.get(letter) or _literal(letter))
        at += 1
    return f"{''.join(written)})$"


def _literal(letter: str) -> str:
    """Write a character that stands for itself."""
    return letter if letter.isalnum() or letter in "_/ " or not letter.isascii() else f"\\{letter}"
