"""Returns of temporary weights are read as they were written. Other texts are refused."""

import json
from typing import Any

import pytest

from worker.core.weights.temporary import Return, read_return

GOOD: dict[str, object] = {"due_ms": 5, "mark": "", "back": None, "who": "ann", "lasts": "1h"}
NO_TEXTS: list[Any] = [None, 5, [], {}, True]
NO_TIMES: list[Any] = [None, True, 1.5, "5", -1, 2**64, [], {}]
NO_WEIGHTS: list[Any] = [5, [], {}, True, "", "no JSON", "[]", '{"voice": -1}', '{"voice": NaN}']
STRANGE_RETURNS: list[dict[str, Any]] = [
    *({name: "\ud800"} for name in ("mark", "who", "lasts", "back")),
    *({name: wrong} for name in ("mark", "who", "lasts") for wrong in NO_TEXTS),
    *({"due_ms": wrong} for wrong in NO_TIMES),
    *({"back": wrong} for wrong in NO_WEIGHTS),
]


def test_what_a_return_is_made_strange_from_is_one() -> None:
    assert read_return(json.dumps(GOOD).encode()) == Return(5, "", None, "ann", "1h")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"[" * 100_000,
        json.dumps({"due_ms": "soon", "mark": "", "back": None, "who": "", "lasts": ""}).encode(),
        b'{"due_ms": Infinity, "mark": "", "back": null, "who": "", "lasts": ""}',
        *(json.dumps(GOOD | wrong).encode() for wrong in STRANGE_RETURNS),
        json.dumps(GOOD).encode() + b"\xff",
        json.dumps(GOOD).replace("5", "9" * 5000).encode(),
    ],
)
def test_what_is_no_return_is_none(text: bytes) -> None:
    assert read_return(text) is None


def test_a_return_is_read_as_it_was_written() -> None:
    written = Return(5, "mark", '{"voice": 1}', "änn", "1.5h")
    assert read_return(written.text.encode()) == written
