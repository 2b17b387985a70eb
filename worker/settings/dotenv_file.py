"""Read the `.env` of the working directory, which mostly belongs to other programs.

Many tools keep a `.env`, and it may hold shell commands, YAML or old encodings. So only lines that give a setting of
ours must be valid. One that is not is refused, with its line number. A file without our names is not parsed at all.
"""

import codecs
import io
import re
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from worker.errors import SettingsError
from worker.settings.names import FILE_SUFFIX, is_setting, meant_by
from worker.settings.notices import warn_once

if TYPE_CHECKING:
    from dotenv.parser import Binding

_LARGEST = 1 << 20
_ACCEPTED = "accepted: NAME=value, in UTF-8"
_NAME = r"(?:WORKER_\w+|REDIS_URL\w*|DATABASE_URL\w*|LOG_LEVEL\w*|LOG_FORMAT\w*)"
_NAMED = re.compile(_NAME, re.ASCII | re.IGNORECASE)
_GIVEN = re.compile(
    rf"\s*(?:(?:export|set|setenv|declare\s+-x|ENV|-)\s+|\$env:)?[\"']?({_NAME})", re.ASCII | re.IGNORECASE
)
_LINE_END = re.compile(r"\r\n|\n|\r")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_dotenv(path: Path, wanted: Collection[str]) -> Mapping[str, str]:
    """Read the `NAME=value` lines of a file, if it exists.

    Args:
        path: The file.
        wanted: Variables of the settings that are asked for.

    Raises:
        SettingsError: A line that gives one of these is not valid.
    """
    text = _decoded(path, _content(path))
    if not _NAMED.search(text):
        return {}
    # Imported only if the file has settings of ours.
    from dotenv.parser import parse_stream  # noqa: PLC0415

    values: dict[str, str] = {}
    left_out = []
    for binding in parse_stream(io.StringIO(text, newline="")):
        _refuse_misread(path, binding, wanted)
        if binding.error:
            left_out.append(binding.original.line)
        elif binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    if left_out:
        warn_once(f"{path}, line {left_out[0]}, is not understood and is left out; {_ACCEPTED}")
    return values


def _refuse_misread(path: Path, binding: "Binding", wanted: Collection[str]) -> None:
    """Refuse a line that gives a setting but was parsed as something else, such as part of a quoted text."""
    key = binding.key
    is_key_misread = key is not None and _given(key, wanted) not in {None, key}
    is_first = True
    for number, line in enumerate(_LINE_END.split(binding.original.string), binding.original.line):
        is_read = is_first and not binding.error and not is_key_misread and _is_text(line)
        if not is_read and (name := _given(line, wanted)):
            raise SettingsError(f"{path}, line {number}, gives {name} and is not understood; {_ACCEPTED}")
        is_first = is_first and not line.strip()


def _content(path: Path) -> bytes:
    """Return the content of a regular file. Anything else, and a file that may not be read, counts as empty."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return b""
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as error:
        warn_once(f"{path} cannot be read ({error.strerror}) and is left out")
        return b""
    if len(content) > _LARGEST:
        warn_once(f"{path} is larger than 1 MiB and is left out")
        return b""
    return content


def _decoded(path: Path, content: bytes) -> str:
    """Decode a file. Bytes that are not UTF-8 become surrogates, since most lines do not matter to us."""
    if content.startswith(_UTF_16):
        return content.decode("utf-16", errors="replace")
    if b"\0" in content:
        warn_once(f"{path} is not text and is left out; {_ACCEPTED}")
        return ""
    return content.decode("utf-8-sig", errors="surrogateescape")


def _given(line: str, wanted: Collection[str]) -> str | None:
    """Return the setting that a line gives, or is meant to give; None for any other line."""
    if not (found := _GIVEN.match(line)):
        return None
    meant = found[1] if is_setting(found[1]) else meant_by(found[1]) or ""
    return found[1] if meant.removesuffix(FILE_SUFFIX) in wanted else None


def _is_text(line: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in line)
