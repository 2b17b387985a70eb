"""Ids of chunks as people give them: as words, and in a file with one a line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

from worker.adapters.standard_input import standard_input
from worker.core.wire.exclusions import read_id
from worker.errors import SettingsError

_STDIN: Final = "-"
_FILE: Final = "accepted: a text in UTF-8 with one id a line, and nothing else"


def read_ids(words: Sequence[str], file: Path | None) -> frozenset[int | UUID]:
    """Read ids.

    Args:
        words: As they are typed.
        file: A file of more, `-` for standard input; None: none.

    Raises:
        SettingsError: There are none, or one is no id; the sentence names its line.
    """
    found = set(_read(words))
    if file is not None:
        name, text = ("standard input" if str(file) == _STDIN else str(file)), _text(file)
        of_file = _read_file(name, text)
        if not of_file:
            raise SettingsError(f"{name} holds no id; {_FILE}")
        found |= of_file
    if not found:
        raise SettingsError("it is not said which chunks: accepted are ids and --from FILE")
    return frozenset(found)


def _text(file: Path) -> str:
    """Read a file, without the mark of byte order that some editors put first.

    Raises:
        SettingsError: It cannot be read, or is no text in UTF-8.
    """
    try:
        raw = standard_input("a file of ids").read() if str(file) == _STDIN else file.read_bytes()
    except OSError as error:
        raise SettingsError(f"--from {str(file)!r} cannot be read: {error.strerror or error}") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"--from {str(file)!r} is not UTF-8 ({error.reason} at byte {error.start}); {_FILE}"
        ) from None


def _read_file(name: str, text: str) -> set[int | UUID]:
    """Read the ids of a text; several may stand on a line, with blanks between.

    Raises:
        SettingsError: Something else stands there; the sentence names its line.
    """
    found: set[int | UUID] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            found.update(map(read_id, line.split()))
        except ValueError as error:
            said = str(error).partition(";")[0]
            raise SettingsError(f"{name}, line {number:,}: {said}; {_FILE}") from None
    return found


def _read(words: Sequence[str]) -> list[int | UUID]:
    try:
        return list(map(read_id, words))
    except ValueError as error:
        raise SettingsError(str(error)) from error
