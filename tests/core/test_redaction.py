"""Redaction removes every password, wherever the URL is in the text."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.redaction import escape, redact

CANARY = "c4n4ry"
printable = st.text(string.ascii_letters + string.digits + "/:?#@%[]!$&'()*+,;=-._~", max_size=20)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:pw@localhost:6379/0", "redis://:***@localhost:6379/0"),
        ("rediss://user:pw@h", "rediss://user:***@h"),
        ("unix://user:pw@/run/redis.sock?db=1", "unix://user:***@/run/redis.sock?db=1"),
        ("redis+sentinel://:pw@a:26379,b:26379/mymaster", "redis+sentinel://:***@a:26379,b:26379/mymaster"),
        ("postgresql://user@host/db", "postgresql://user@host/db"),
        ("postgresql://h/db?user=u&password=pw&ssl=on", "postgresql://h/db?user=u&password=***&ssl=on"),
        ("cannot reach redis://u:p@h:1, nor redis://h:2", "cannot reach redis://u:***@h:1, nor redis://h:2"),
        ("connect(user='u', password='p w', ssl=None)", "connect(user='u', password=***, ssl=None)"),
        ("two\nredis://u:p@h\nlines", "two\nredis://u:***@h\nlines"),
        ("at 12:30 bob@example.org wrote", "at 12:30 bob@example.org wrote"),
        ("", ""),
    ],
)
def test_passwords_are_hidden_and_the_rest_stays(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@given(before=st.text(max_size=20), user=st.sampled_from(["", "user"]), left=printable, right=printable)
def test_no_password_survives_whatever_it_holds(before: str, user: str, left: str, right: str) -> None:
    assert CANARY not in redact(f"{before} postgresql://{user}:{left}{CANARY}{right}@host:5432/db")


@given(st.text() | st.text("abc:/@ =*'\"") | printable)
def test_redacting_twice_is_redacting_once(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@given(st.text())
def test_what_is_escaped_is_one_printable_line_and_printable_text_stays(text: str) -> None:
    assert escape(text).isprintable()
    assert escape(text) == text or not text.isprintable()
