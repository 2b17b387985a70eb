"""JSON in log lines: read quickly, and with the same outcome as by the standard library."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.report.test_report import LOG, write
from worker.report.json_text import value_at_end
from worker.settings.environment import environment_with

pytestmark = pytest.mark.any_redis
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
WITHOUT_MSGSPEC = """
import sys
sys.modules["msgspec"] = None
from worker.cli.commands import execute
from worker.report import json_text
assert json_text._quick.__self__ is json_text._plain
sys.exit(execute(sys.argv[1:]))
"""


def outcome(text: str, read: Callable[[str], Any]) -> str:
    try:
        return repr(read(text))
    except ValueError:
        return "refused"


@given(VALUES, st.booleans(), st.text(alphabet="a -|:", max_size=5))
def test_any_value_is_read_as_it_was_written(value: Any, ascii_only: bool, before: str) -> None:  # noqa: FBT001
    text = before + json.dumps(value, ensure_ascii=ascii_only)
    assert repr(value_at_end(text, len(before))) == repr(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'{"a": "\ud800"}', {"a": "\ud800"}),
        ('{"a": "\ud800"}', {"a": "\ud800"}),
        ('{"a": 1e999}', {"a": float("inf")}),
        ('{"a": 1e-999}', {"a": 0.0}),
        ('{"a": -0}', {"a": 0}),
        ('{"a": 18446744073709551617}', {"a": 2**64 + 1}),
        ('{"a": 1' + "0" * 400 + "}", {"a": 10**400}),
        ('{"a": 1, "b": 2, "a": 3}', {"a": 3, "b": 2}),
        ('{"a": "\x7f\u2028"}', {"a": "\x7f\u2028"}),
    ],
)
def test_what_is_strange_is_read_as_the_standard_library_reads_it(text: str, value: Any) -> None:
    assert value == json.loads(text)
    assert repr(value_at_end(text, 0)) == repr(value)


BROKEN = [
    "",
    "{",
    '{"a": NaN}',
    '{"a": -Infinity}',
    '{"a": 01}',
    '{"a": "\t"}',
    r'{"a": "\x"}',
    '{"a": 1,}',
    "{} {}",
    "{1: 2}",
]


@pytest.mark.parametrize("text", [*BROKEN, '{"a": ' + "9" * 5000 + "}"])
def test_what_is_no_value_is_refused(text: str) -> None:
    assert outcome(text, lambda whole: value_at_end(whole, 0)) == "refused"


def test_what_is_too_deep_is_refused() -> None:
    with pytest.raises(RecursionError):
        value_at_end('{"a":' * 100_000, 0)


@given(st.text(alphabet='{}[]":,.eE+-0123456789\\ud8aflsn \t\x00\xe9', max_size=12))
@example('{"":0}')
def test_any_text_is_read_or_refused_as_by_the_standard_library(text: str) -> None:
    text = text.rstrip()
    assert outcome(text, lambda whole: value_at_end(whole, 0)) == outcome(text, json.loads)


def test_without_msgspec_a_log_is_drawn_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log, told = write("w.log", LOG), list[str]()
    for name, how in (("a.svg", ["-c", WITHOUT_MSGSPEC]), ("b.svg", ["-m", "worker"])):
        ended = subprocess.run(
            [sys.executable, *how, "report", log, "--output", name],
            env=environment_with({"PYTHONPATH": str(Path(__file__).parents[2])}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        told.append(ended.stdout.replace(name, ""))
    assert told[0] == told[1]
    assert Path("a.svg").read_bytes() == Path("b.svg").read_bytes()
