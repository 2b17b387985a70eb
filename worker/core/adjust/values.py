"""Readers of values that anybody may have written: settings of rules, their parameters, and their state."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from worker.errors import AdjustError

MAX_BYTES: Final = 1 << 20
_SHOWN: Final = 60


def read_object(what: str, text: bytes, most_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Read a JSON object without NaN, infinities, repeated names or text that UTF-8 cannot hold.

    Args:
        what: Its name, for the sentence.
        text: The text.
        most_bytes: Longest text that is accepted.

    Raises:
        AdjustError: It is not such an object, or it is too long.
    """
    if len(text) > most_bytes:
        raise AdjustError(f"{what}: the text has {len(text)} bytes; accepted: at most {most_bytes}")
    try:
        found = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)
        json.dumps(found, ensure_ascii=False).encode()  # a lone surrogate is legal JSON, but UTF-8 cannot hold it
    except (ValueError, RecursionError) as error:
        raise AdjustError(f"{what}: the text is not JSON ({error}); accepted: a JSON object") from None
    if not isinstance(found, dict):
        raise AdjustError(f"{what}: {shown(found)} is not a JSON object; accepted: a JSON object")
    return found


def refuse_unknown(found: Mapping[str, object], accepted: Collection[str], what: str) -> None:
    """Refuse an object that has other names than those accepted.

    Args:
        found: The object.
        accepted: The names.
        what: What it is, for the sentence, such as `rule cooldown`.

    Raises:
        AdjustError: The sentence names one of them, and what is accepted.
    """
    unknown = sorted(found.keys() - set(accepted))
    if unknown:
        raise AdjustError(f"{what} has no {shown(unknown[0])}; accepted: {', '.join(accepted) or 'nothing'}")


def number(found: Mapping[str, object], name: str, default: float | None, *, least: float, most: float) -> float:
    """Read a finite number.

    Args:
        found: The object.
        name: The number's name.
        default: What it is where it is not given; None: it has to be given.
        least: The least that is accepted.
        most: The most that is accepted.

    Raises:
        AdjustError: It is missing, no number, or out of range.
    """
    value = found.get(name, default)
    accepted = f"accepted: a number from {least:,.10g} to {most:,.10g}"
    if value is None:
        raise AdjustError(f"{name} is missing; {accepted}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise AdjustError(f"{name} is {shown(value)}; {accepted}")
    return float(value)


def whole(found: Mapping[str, object], name: str, default: int | None, *, least: int, most: int) -> int:
    """Read a whole number; arguments as for `number`.

    Raises:
        AdjustError: It is missing, no whole number, or out of range.
    """
    value = number(found, name, default, least=least, most=most)
    if value != int(value):
        raise AdjustError(f"{name} is {value:g}; accepted: a whole number from {least} to {most}")
    return int(value)


def choice(found: Mapping[str, object], name: str, default: str | None, accepted: Sequence[str]) -> str:
    """Read one of some words.

    Args:
        found: The object.
        name: The word's name.
        default: What it is where it is not given; None: it has to be given.
        accepted: The words.

    Raises:
        AdjustError: It is missing, or none of them.
    """
    value = found.get(name, default)
    if not isinstance(value, str) or value not in accepted:
        said = "is missing" if value is None else f"is {shown(value)}"
        raise AdjustError(f"{name} {said}; accepted: {', '.join(accepted)}")
    return value


def shown(value: object) -> str:
    """Show a stranger's value in a sentence: ASCII only, and cut."""
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _unique(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice")
    return found


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no finite number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:_SHOWN]} is too large")
    return value
