"""Passwords out of text, wherever a URL may stand in it; and control characters, whoever put them there."""

import re

_HIDDEN = "***"
_NAMED_SECRET = re.compile(r"(?i)(password|passwd|pwd|secret|token)=('[^']*'|\"[^\"]*\"|[^&\s]+)")


def redact(text: str) -> str:
    """Hide passwords: those of URLs (`://user:password@`), and `password=` and its like.

    Where it is not certain what belongs to a password, more is hidden rather than less.

    Args:
        text: A URL, or any text that may hold URLs, such as an exception's.
    """
    if "://" in text:
        # Word by word and not by one regular expression: that takes quadratic time on text made to that end.
        text = "".join(_redact_word(word) for word in re.split(r"(\s+)", text))
    return _NAMED_SECRET.sub(rf"\1={_HIDDEN}", text) if "=" in text else text


def escape(text: str) -> str:
    """Escape what is not printable, so that no text forges a line or commands a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _redact_word(word: str) -> str:
    """Hide what stands between the first user and the last `@` of a word that holds URLs."""
    start = word.find("://")
    end = word.rfind("@")
    colon = word.find(":", start + len("://"), end)
    return f"{word[: colon + 1]}{_HIDDEN}{word[end:]}" if -1 < start < colon < end else word
