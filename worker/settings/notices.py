"""Warn on stderr about settings that are left out, once for each process and sentence."""

import sys

_written: set[str] = set()


def warn_once(sentence: str) -> None:
    """Write a sentence to stderr, unless it was written before or stderr is closed.

    Args:
        sentence: What is left out, and why. It must hold no secret.
    """
    if sentence in _written or sys.stderr is None or sys.stderr.closed:
        return
    _written.add(sentence)
    try:
        sys.stderr.write(f"sampling-worker: {sentence}\n")
        sys.stderr.flush()
    except OSError:  # a full disk is no reason to stop
        return
