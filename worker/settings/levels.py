"""Names that other programs have for levels of log lines, since many of them share the name `LOG_LEVEL`."""

from collections.abc import Mapping

from worker.core.events import Level

# Names of other programs. Python has numbers instead; each number up to the highest maps to the next level of ours.
_LEVELS: Mapping[str, Level] = {
    "trace": "debug",
    "verbose": "debug",
    "notset": "debug",
    "information": "info",
    "notice": "info",
    "warn": "warning",
    "err": "error",
    "severe": "error",
    "crit": "error",
    "critical": "error",
    "alert": "error",
    "emerg": "error",
    "emergency": "error",
    "panic": "error",
    "fatal": "error",
}
_NUMBERED: Mapping[int, Level] = {10: "debug", 20: "info", 30: "warning", 50: "error"}
_MOST_DIGITS = 2


def read_level(value: object) -> object:
    """Return our name of a level, for any name or number with a clear meaning; any other value unchanged."""
    if not isinstance(value, str):
        return value
    level = value.strip().lower()
    if level.isascii() and level.isdigit() and len(level) <= _MOST_DIGITS:
        return next((name for number, name in _NUMBERED.items() if int(level) <= number), value)
    return _LEVELS.get(level, level)
