"""A mix that was made elsewhere, out of a file or standard input: JSON, or YAML with the extra `yaml`."""

import json
from pathlib import Path
from typing import Any, Final

from worker.adapters.standard_input import standard_input
from worker.core.adjust.values import shown
from worker.core.adjust.weight_lists import DEEPEST
from worker.core.weights.values import MAX_BYTES
from worker.errors import SettingsError, WeightsError

STDIN: Final = "-"

_LACKING: Final = (
    "YAML needs the extra `yaml`: pip install 'sampling-worker[yaml]'; accepted without it: the same document as JSON"
)
_TOO_DEEP: Final = f"it is nested deeper than {DEEPEST} levels; accepted: at most that"
_YAML, _JSON = {".yaml", ".yml"}, {".json"}


def read_mix(path: Path) -> object:
    """Read a document.

    A name that ends with `.json`, `.yaml` or `.yml` says what it is. Otherwise it is JSON if it begins as JSON does.

    Args:
        path: A file of at most `MAX_BYTES`, or `-` for standard input.

    Returns:
        Objects, lists, texts, numbers. Names of objects are texts, each there once.

    Raises:
        WeightsError: It cannot be read. The sentence says why.
        SettingsError: It is YAML, and the extra is not installed.
    """
    name = "standard input" if str(path) == STDIN else path.name
    text = _text(name, path)
    ending = path.suffix.lower()
    is_yaml = ending in _YAML or (ending not in _JSON and not text.lstrip().startswith(("{", "[")))
    document = _from_yaml(name, text) if is_yaml else _from_json(name, text)
    _check(document)
    return document


def _text(name: str, path: Path) -> str:
    try:
        with standard_input("a mix") if str(path) == STDIN else path.open("rb") as file:
            found = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise WeightsError(f"{name} cannot be read: {error.strerror or error}") from error
    if len(found) > MAX_BYTES:
        raise WeightsError(f"{name} has more than {MAX_BYTES:,} bytes; accepted: at most that")
    try:
        return found.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WeightsError(f"{name} is not UTF-8 ({error.reason} at byte {error.start}); accepted: UTF-8") from error


def _from_json(name: str, text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse_constant)
    except RecursionError:
        raise WeightsError(_TOO_DEEP) from None
    except ValueError as error:
        raise WeightsError(f"{name} is not JSON ({error}); accepted: JSON, or YAML in a file .yaml") from None


def _from_yaml(name: str, text: str) -> object:
    try:
        from worker.adapters.yaml_text import read_yaml  # noqa: PLC0415 - the extra `yaml`
    except ModuleNotFoundError as error:
        raise SettingsError(_LACKING) from error
    return read_yaml(name, text)


def _check(value: object, depth: int = 1) -> None:
    """Refuse what is nested too deep, and texts that UTF-8 cannot hold: lone surrogates are legal in both languages."""
    if depth > DEEPEST:
        raise WeightsError(_TOO_DEEP)
    if isinstance(value, dict):
        for name, one in value.items():
            _check(name, depth)
            _check(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            _check(one, depth + 1)
    elif isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise WeightsError(f"{shown(value)} holds half a character; accepted: whole ones") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object whose names are there once."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise WeightsError(f"{shown(key)} is given twice; accepted: each name once")
        found[key] = value
    return found


def _refuse_constant(name: str) -> float:
    raise WeightsError(f"a number is {name}; accepted: finite numbers")
