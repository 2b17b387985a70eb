"""What a training that reads by some library has to have heard."""

import json
from pathlib import Path
from typing import Any

from tests.support.pytorch import Imported, Program

PROGRAMS = Path(__file__).parent / "programs"
SIZE, BATCHES, LEFT_AT = 10, 12, 5
AHEAD = 4 + 2
"""Batches that a worker of a DataLoader has asked for or ready."""


def told(library: str, url: str, prefix: str, folder: Path, libraries: Imported) -> dict[str, Any]:
    """Run the trainings of a library, and return what they wrote."""
    program = Program(PROGRAMS / "going_on.py", library, url, prefix, out=folder / "told", imported=libraries)
    found: dict[str, Any] = json.loads(program.finish())
    return found


def check(found: dict[str, Any]) -> None:
    """Check what was heard against what the client's page says of it.

    Even chunks are voice, and odd ones music.
    """
    heard = found["moved"]["heard"]
    later = [numbers for numbers, version in heard if version == found["moved"]["version"]]
    assert len(later) >= len(heard) - LEFT_AT - 1 - AHEAD
    assert {number % 2 for numbers in later for number in numbers} == {1}
    assert {number % 2 for numbers, _ in heard[: LEFT_AT + 1] for number in numbers} == {0, 1}

    assert (len(found["whole"]), len(found["anew"])) == (SIZE * BATCHES, SIZE * BATCHES)
    assert len({*found["whole"], *found["anew"]}) == 2 * SIZE * BATCHES

    refused = "when the state was taken; accepted: the same, or no state"
    assert f"num_workers is 1, and was 2 {refused}" in found["workers"]
    assert "State doesn't contain key '_num_yielded'" in found["no workers"]
    assert f"the number of ranks is 2, and was 1 {refused}" in found["ranks"]
