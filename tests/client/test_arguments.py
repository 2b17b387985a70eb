"""What is asked for is checked before anything is sent, and a sentence says what is accepted."""

import math
from typing import Any

import numpy as np
import pytest

from worker.client import Options, SampleClient
from worker.client.address import find_address
from worker.client.arguments import Checker
from worker.errors import SettingsError

NOWHERE = "redis://127.0.0.1:1"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ("size", 4)),
        ({"category": None, "seed": None, "encoding": None}, ("size", 4)),
        ({"replace": False, "pin": True, "session": "s"}, ("size", 4, "replace", 0, "pin", 1, "session", "s")),
        ({"seed": np.int32(7)}, ("size", 4, "seed", 7)),
        ({"method": "epoch", "session": "s"}, ("size", 4, "method", "epoch", "session", "s")),
    ],
)
def test_arguments_become_fields(options: dict[str, Any], words: tuple[Any, ...]) -> None:
    checked = Checker(30.0).check(4, options)
    assert (checked.words, checked.timeout_s) == (words, 30.0)


def test_a_time_of_its_own_and_an_id_are_told_apart() -> None:
    checked = Checker(30.0).check(4, {"request_id": "a", "timeout_s": None, "encoding": "json"})
    assert (checked.request_id, checked.timeout_s, checked.has_encoding) == ("a", None, True)
    other = Checker(30.0).check(4, {})
    assert (other.request_id, other.has_encoding) == ("", False)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 0}, "size is '0'; accepted: a whole number from 1 to 65536"),
        ({"size": 65_537}, "accepted: a whole number from 1 to 65536"),
        ({"dataset": "a b"}, "dataset is 'a b'; accepted: "),
        ({"category": ""}, "category is ''; accepted: "),
        ({"preset": "a b"}, "preset 'a b' is not known; accepted: balanced"),
        ({"session": "\n"}, "session is .*; accepted: "),
        ({"pin": True}, "pin is 1 without a session; accepted"),
        ({"method": "best"}, "method is 'best'; accepted: random or stratified or epoch"),
        ({"seed": -1}, "seed is '-1'; accepted"),
        ({"encoding": "xml"}, "encoding is 'xml'; accepted: json or packed"),
        ({"request_id": "x" * 129}, "request_id is .*; accepted"),
        ({"traceparent": "00-4bf9"}, "traceparent is '00-4bf9'; accepted: a W3C trace context, such as 00-"),
        ({"timeout_s": 0}, "timeout_s is 0; accepted: seconds above 0"),
        ({"timeout_s": math.inf}, "timeout_s is inf; accepted"),
        ({"timeout_s": math.nan}, "timeout_s is nan; accepted"),
    ],
)
def test_a_value_that_is_not_accepted_is_told(options: dict[str, Any], words: str) -> None:
    with SampleClient(NOWHERE) as client, pytest.raises(ValueError, match=words):
        client.sample(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": "4"}, "size is '4'; accepted: a whole number"),
        ({"size": True}, "size is True; accepted: a whole number"),
        ({"size": 4.0}, r"size is 4\.0; accepted: a whole number"),
        ({"replace": 1}, "replace is 1; accepted: True or False"),
        ({"pin": None}, "pin is None; accepted: True or False"),
        ({"category": 3}, "category is 3; accepted: a text"),
        ({"timeout_s": "1"}, "timeout_s is '1'; accepted"),
        ({"reply_to": "x"}, "reply_to is not an argument; accepted: size, category, .*, timeout_s"),
        ({"expires_at": 1}, "expires_at is not an argument"),
    ],
)
def test_a_value_of_another_type_is_told(options: dict[str, Any], words: str) -> None:
    with SampleClient(NOWHERE) as client, pytest.raises(TypeError, match=words):
        client.sample(**options)


def test_each_of_many_requests_is_checked_before_any_is_sent() -> None:
    with SampleClient(NOWHERE) as client, pytest.raises(TypeError, match="sise"):
        client.sample_many([{"size": 1}, {"sise": 1}])  # type: ignore[typeddict-unknown-key]


def test_options_name_every_field_that_is_not_the_clients_own() -> None:
    from worker.core.wire.requests import _READERS

    own = {"reply_to", "expires_at"}
    assert set(Options.__annotations__) - {"timeout_s"} == {name.decode() for name in _READERS} - own


# -- where it works ----------------------------------------------------------------------------------------------


def test_the_environment_says_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("REDIS_URL", "REDIS_URL_FILE", "WORKER_PREFIX"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(SettingsError, match="REDIS_URL is missing; accepted: "):
        find_address(None, None, None)
    monkeypatch.setenv("REDIS_URL", NOWHERE)
    assert find_address(None, None, None) == (NOWHERE, "audio", None)
    monkeypatch.setenv("WORKER_PREFIX", "{a}")
    assert find_address(None, None, "n") == (NOWHERE, "{a}", "n")
    assert find_address("unix:///a", "b", None) == ("unix:///a", "b", None)
    monkeypatch.delenv("REDIS_URL")
    (tmp_path / "url").write_text("redis://from-a-file\n")
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "url"))
    assert find_address(None, "b", None).url == "redis://from-a-file"
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "missing"))
    with pytest.raises(SettingsError, match="REDIS_URL_FILE"):
        find_address(None, None, None)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"url": "localhost"}, SettingsError, "accepted: one that starts with one of redis://"),
        ({"url": "redis://user:secret@host:x"}, SettingsError, r"redis://user:\*\*\*@host:x is not accepted"),
        ({"prefix": "a b"}, SettingsError, "prefix 'a b' is not accepted; accepted"),
        ({"url": "redis+cluster://a"}, SettingsError, "prefix 'audio' is not accepted with redis.cluster://"),
        ({"name": "a b"}, ValueError, "name is 'a b'; accepted"),
        ({"timeout_s": 0}, ValueError, "timeout_s is 0; accepted"),
    ],
)
def test_a_place_that_is_not_accepted_is_told(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        SampleClient(**{"url": NOWHERE, **options})


def test_an_option_of_a_url_that_no_connection_has_is_told_at_once() -> None:
    with pytest.raises(SettingsError, match=r"sokcet_timeout that is not known \(is socket_timeout meant\?\)"):
        SampleClient(f"{NOWHERE}?sokcet_timeout=1")
