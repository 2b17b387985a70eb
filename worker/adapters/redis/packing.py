"""Commands as they are sent: RESP."""

from collections.abc import Sequence

Word = str | bytes | int
_SHORT = 1024
_HEADS = [b"\r\n$%d\r\n" % length for length in range(_SHORT)]  # what stands before an argument of this length


def pack(words: Sequence[Word]) -> bytes:
    """Encode a command in RESP.

    Args:
        words: The command's name, a word each, and its arguments.
    """
    parts = [b"*%d" % len(words)]
    for word in words:
        raw = word if type(word) is bytes else word.encode() if type(word) is str else str(word).encode()
        length = len(raw)
        parts += (_HEADS[length] if length < _SHORT else b"\r\n$%d\r\n" % length, raw)
    parts.append(b"\r\n")
    return b"".join(parts)
