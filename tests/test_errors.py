"""The tree of exceptions that `worker/errors.py` draws is the tree that it defines."""

import re

import pytest

from worker import errors
from worker.errors import SamplingError

DEFINED = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, SamplingError)
}
INDENT = 5


def draw() -> dict[str, tuple[str, int, str]]:
    """Read the drawing: name -> the name above it, exit status, remark."""
    rows: dict[str, tuple[str, int, str]] = {}
    above = ["Exception"]
    for branches, name, status, remark in re.findall(
        r"^    ([ |+-]*)(\w+) \.+ ([123])(.*)$", errors.__doc__ or "", re.MULTILINE
    ):
        depth = len(branches) // INDENT + 1
        rows[name] = above[depth - 1], int(status), remark
        above[depth:] = [name]
    return rows


def test_every_exception_is_drawn() -> None:
    assert draw().keys() == DEFINED.keys()


@pytest.mark.parametrize("name", DEFINED)
def test_an_exception_is_drawn_below_its_first_base_and_names_the_others(name: str) -> None:
    above, status, remark = draw()[name]
    first, *others = (base.__name__ for base in DEFINED[name].__bases__)
    assert (above, status) == (first, DEFINED[name].exit_status)
    assert all(re.search(rf"\balso an? {other}\b", remark) for other in others)
    assert len(others) == remark.count("also")
