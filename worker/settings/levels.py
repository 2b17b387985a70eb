"""Levels of log lines, as other programs call them: `LOG_LEVEL` is a name that many of them share."""

from collections.abc import Mapping

from worker.core.events import Level

# What others call the levels. Python numbers them, and every number up to its highest lies at or below one of ours.
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
    """Take a level by any name or number whose meaning is clear; return any other as it is."""
    if not isinstance(value, str):
        return value
    level = value.strip().lower()
    if level.isascii() and level.isdigit() and len(level) <= _MOST_DIGITS:
        return next((name for number, name in _NUMBERED.items() if int(level) <= number), value)
    return _LEVELS.get(level, level)
