"""JSON in text: a text that ends with a value, or the objects that stand in any text.

`msgspec`, which the extra `report` installs, decodes a line in a third of the time that the standard library takes. It
refuses more than that does, such as half a surrogate pair, and gives the same values for all else. So the standard
library decodes what it refuses, and everything where it is not installed.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn

_OBJECT: Final = re.compile(r'\{\s*"')
_TEXT: Final = re.compile(r'"(?:[^"\\]|\\.)*\{\\"(?:[^"\\]|\\.)*"')
_MOST_TRIES = 100  # of braces in a text that begin no object


def value_at_end(text: str, begin: int) -> Any:
    """Decode the value that begins at a place of a text and ends with it.

    Args:
        text: A text without white space at its end.
        begin: Index of the first character of the value.

    Raises:
        ValueError: There is no such value.
        RecursionError: It is too deep.
    """
    try:
        return _quick(text[begin:])
    except _REFUSALS:
        value, end = _decode(text, begin)
    if end != len(text):
        raise ValueError(text)
    return value


def values(text: str) -> Iterator[Any]:
    """Decode the objects of a text one after the other, skipping what stands between them."""
    position, tries = 0, 0
    while tries < _MOST_TRIES and (begin := _OBJECT.search(text, position)):
        try:
            value, position = _decode(text, begin.start())
        except (ValueError, RecursionError):
            tries, position = tries + 1, begin.end()
        else:
            yield value


def quoted(text: str) -> Iterator[Any]:
    """Decode objects with escaped quotes: in a JSON string or in a CSV cell."""
    if '{""' in text:
        yield from values(text.replace('""', '"'))
    if '{\\"' in text:
        for found in _TEXT.finditer(text):
            try:
                yield json.loads(found[0])
            except ValueError:
                continue


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


_plain: Final = json.JSONDecoder(parse_constant=_refuse)
_decode: Final = _plain.raw_decode

try:
    from msgspec import DecodeError  # a ValueError in its later versions alone
    from msgspec.json import Decoder

    _quick: Callable[[str], Any] = Decoder().decode
    _REFUSALS: tuple[type[Exception], ...] = (DecodeError, ValueError, RecursionError)
except ImportError:
    _quick, _REFUSALS = _plain.decode, (ValueError, RecursionError)
