"""Say on stderr, once a process, what was left out of the settings and why."""

import sys

_told: set[str] = set()


def tell_once(sentence: str) -> None:
    """Say it where a person looks; where nobody can hear it, or it was said before, say nothing.

    Args:
        sentence: What was left out, and why; without a secret.
    """
    if sentence in _told or sys.stderr is None or sys.stderr.closed:
        return
    _told.add(sentence)
    try:
        sys.stderr.write(f"sampling-worker: {sentence}\n")
        sys.stderr.flush()
    except OSError:  # a disk that is full is no reason to stop
        return
