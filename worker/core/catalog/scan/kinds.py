"""Which files are audio, by the ends of their names."""

from typing import Final

AUDIO_SUFFIXES: Final = frozenset({
    ".wav", ".wave", ".w64", ".rf64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".m4b", ".aif", ".aiff",
    ".aifc", ".au", ".snd", ".caf",
})  # fmt: skip
"""Ends of names of files whose duration can be read, in small letters."""

_LONGEST_SUFFIX: Final = 12


def kind_of(name: str) -> str:
    """Return the end of a file's name in small letters, such as `.wav`; empty if it has none.

    Args:
        name: A name without folders.
    """
    stem, dot, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if stem and dot and suffix and len(suffix) <= _LONGEST_SUFFIX else ""


def is_audio(name: str) -> bool:
    """Return whether a file is taken for audio.

    Args:
        name: Its name without folders.
    """
    return kind_of(name) in AUDIO_SUFFIXES
