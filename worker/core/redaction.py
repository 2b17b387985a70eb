"""Redaction: remove passwords from text that may hold URLs, and escape control characters."""

import re

_HIDDEN = "***"
_NAMED_SECRET = re.compile(r"(?i)(password|passwd|pwd|secret|token)=('[^']*'|\"[^\"]*\"|[^&\s]+)")


def redact(text: str) -> str:
    """Hide passwords: those of URLs (`://user:password@`), and values such as that of `password=`.

    If it is not certain where a password ends, more is hidden rather than less.

    Args:
        text: A URL, or any text that may hold URLs, such as the message of an exception.
    """
    if "://" in text:
        # Word by word: one regular expression for the whole would take quadratic time on malicious text.
        text = "".join(_redact_word(word) for word in re.split(r"(\s+)", text))
    return _NAMED_SECRET.sub(rf"\1={_HIDDEN}", text) if "=" in text else text


def escape(text: str) -> str:
    """Escape what is not printable, so that no text forges a log line or controls a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _redact_word(word: str) -> str:
    """Hide what is between the first user name and the last `@` of a word that holds URLs."""
    start = word.find("://")
    end = word.rfind("@")
    colon = word.find(":", start + len("://"), end)
    return f"{word[: colon + 1]}{_HIDDEN}{word[end:]}" if -1 < start < colon < end else word
