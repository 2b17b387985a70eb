"""Read the parameters of a server's URL. A sentence says what is accepted if one is unknown or not valid."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

Value = str | int | float | bool

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,63}")
_FLAGS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Rule:
    """What a parameter accepts.

    Attributes:
        read: Converts the text to the value; raises ValueError if it is not valid.
        accepted: The same in words, for an error sentence.
    """

    read: Callable[[str], Value]
    accepted: str


Rules = Mapping[str, Rule]


def read_parameters(query: str, rules: Rules) -> dict[str, Value]:
    """Read the parameters after the `?` of a URL.

    Args:
        query: `NAME=VALUE`, joined by `&`.
        rules: The known parameters.

    Returns:
        The values by name.

    Raises:
        ValueError: One is unknown, given twice or not valid. The text holds no secret.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ValueError("what stands behind its ? is not NAME=VALUE, with & between") from None
    values: dict[str, Value] = {}
    for name, text in pairs:
        if name not in rules:
            raise ValueError(_unknown(name, rules, is_shown="@" not in query))
        if name in values:
            raise ValueError(f"it gives {name} twice")
        values[name] = read_value(name, text, rules)
    return values


def read_value(name: str, text: str, rules: Rules) -> Value:
    """Read one value.

    Args:
        name: Name of a known parameter.
        text: The value as given.
        rules: The known parameters.

    Raises:
        ValueError: It is not valid. The text says what is accepted and does not repeat the value.
    """
    try:
        return rules[name].read(text)
    except OSError as error:
        raise ValueError(
            f"its {name}={text} cannot be read ({error.strerror}); {name} is {rules[name].accepted}"
        ) from None
    except ValueError:
        raise ValueError(f"its {name} is not {rules[name].accepted}") from None


def flag() -> Rule:
    """Accept yes or no."""
    return Rule(lambda text: _FLAGS[_known(text.lower(), _FLAGS)], "true or false, or 1 or 0")


def whole(low: int, high: int) -> Rule:
    """Accept a whole number."""
    return Rule(lambda text: _bounded(_whole(text), low, high), f"a whole number from {low} to {high}")


def seconds(low: float, high: float) -> Rule:
    """Accept a number of seconds."""
    return Rule(lambda text: _bounded(float(text), low, high), f"a number of seconds from {low:g} to {high:g}")


def choice(*words: str) -> Rule:
    """Accept one of these words."""
    return Rule(lambda text: _known(text, words), " or ".join(words))


def text() -> Rule:
    """Accept any text that is not empty."""
    return Rule(_some, "a text")


def file(*words: str) -> Rule:
    """Accept the path of a readable file, or one of these words."""
    names = "".join(f", or {word}" for word in words)
    return Rule(lambda path: path if path in words else _readable(path), f"the path of a file that can be read{names}")


def _unknown(name: str, rules: Rules, *, is_shown: bool) -> str:
    """Describe an unknown parameter. It is not shown if it may be part of a password that was not encoded."""
    from difflib import get_close_matches  # noqa: PLC0415 - for a name that nothing has, here alone

    near = get_close_matches(name, rules, n=1, cutoff=0.75)
    shown = f"parameter {name}" if is_shown and _NAME.fullmatch(name) else "parameter"
    meant = f" (is {near[0]} meant?)" if near else ""
    return f"it has a {shown} that is not known{meant}; known are {', '.join(sorted(rules))}"


def _known(word: str, words: "Mapping[str, object] | tuple[str, ...]") -> str:
    if word not in words:
        raise ValueError
    return word


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < len(str(2**63))):
        raise ValueError
    return int(text)


def _bounded(number: float, low: float, high: float) -> float:
    if not low <= number <= high:
        raise ValueError
    return number


def _some(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError
    return text


def _readable(path: str) -> str:
    with Path(_some(path)).open("rb"):
        return path
