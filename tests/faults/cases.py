"""The cases of the plan that no test breaks, and why. The tests' `fault` markers name all others."""

from typing import Final, Literal, NamedTuple

SIZES: Final = {"A": 14, "B": 18, "C": 9, "D": 10, "E": 9, "F": 12, "G": 12, "H": 10}
"""How many cases each part has: workers, Redis, replicas, network, weights, PostgreSQL, requests, limits."""

ALL: Final = frozenset(f"{part}{number:02}" for part, size in SIZES.items() for number in range(1, size + 1))


class Untested(NamedTuple):
    """A case that no test breaks.

    Attributes:
        cases: Its ids.
        words: What would be broken.
        outcome: What the worker would do.
        why: It is not tested, or cannot be survived.
    """

    cases: tuple[str, ...]
    words: str
    outcome: Literal["not survivable", "not run", "does not apply"]
    why: str


UNTESTED: Final = (
    Untested(
        ("B11",),
        "memory is full under an evicting `maxmemory-policy`",
        "not survivable",
        "Redis throws away requests, weights or counts; README asks for `noeviction`, `deploy/compose.yaml` sets it",
    ),
    Untested(
        ("G07",),
        "sequence numbers that jump",
        "does not apply",
        "requests carry none: a request is known by its entry, a client's by its request id",
    ),
    Untested(
        ("H08",),
        "an hour's soak at 80 % load",
        "not run",
        "half an hour of `chaos.py` stands for it: memory, lines and pending entries are counted at its end",
    ),
)
