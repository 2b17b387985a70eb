"""The tree at the top of worker/errors.py, held against the classes."""

import re

from worker import errors
from worker.errors import SamplingError

LINE = re.compile(r"^    (?P<place>[| `-]*)(?P<name>[A-Z]\w+) +(?P<status>\d)?")


def drawn_tree() -> dict[str, tuple[str, int]]:
    """Read the tree: class -> the class above it, and its exit status."""
    above: list[str] = []
    found: dict[str, tuple[str, int]] = {}
    for line in (errors.__doc__ or "").splitlines():
        if (drawn := LINE.match(line.replace("exit status", "").ljust(60))) and drawn["name"] != "LeftOutWarning":
            depth = len(drawn["place"]) // 4
            above[depth:] = [drawn["name"]]
            parent = above[depth - 1] if depth else ""
            found[drawn["name"]] = (parent, int(drawn["status"] or found[parent][1]))
    return found


def test_the_tree_has_every_exception_below_one_of_its_bases_with_its_exit_status() -> None:
    classes = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, SamplingError) and kind is not SamplingError
    }
    tree = drawn_tree()
    assert tree.pop("SamplingError") == ("", 1)
    assert tree.keys() == classes.keys()
    for name, (parent, status) in tree.items():
        assert parent in {base.__name__ for base in classes[name].__bases__}
        assert status == classes[name].exit_status, name
