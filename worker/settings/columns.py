"""Which columns of chunks a worker holds, as the environment says it."""

from typing import Final

from worker.core.wire import CATEGORY, COLUMNS

_HELD: Final = tuple(name for name in COLUMNS if name != CATEGORY)


def read_columns(value: object) -> object:
    """Read a list of columns; blanks around the commas are left out.

    Raises:
        ValueError: A name is not known, or comes twice.
    """
    if not isinstance(value, str):
        return value
    names = [name.strip() for name in value.split(",")]
    if len(set(names)) < len(names) or not set(names) <= set(_HELD):
        raise ValueError
    return tuple(name for name in _HELD if name in names)
