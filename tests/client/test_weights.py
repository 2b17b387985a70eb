"""Weights from Python: what a client stores is what the command line stores, and it says what is not as wanted."""

import json
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from tests.support.background import serving_in_background
from tests.support.jobs import PROGRAMS, run_job
from tests.support.servers import connect
from worker.client import AsyncSampleClient, SampleClient, StaleError, WeightsError, WeightsWarning
from worker.core.keys import Keys
from worker.core.weights.values import DEFAULTS, default_weights
from worker.errors import SamplingError
from worker.settings.environment import user

NOWHERE = "redis://127.0.0.1:1/0"
MIX: dict[str, Any] = {"voice": 7, "music": np.float32(2), "documentary": np.int64(1)}
SHARES = {"voice": 0.7, "music": 0.2, "documentary": 0.1}


@pytest.fixture
def ghost(redis_url: str, prefix: str) -> Callable[[str, dict[str, Any]], None]:
    """Show a worker that applies nothing."""

    def show(name: str, state: dict[str, Any]) -> None:
        with connect(redis_url) as server:
            server.set(Keys(prefix).worker(name), json.dumps({"consumer": name, **state}))

    return show


def test_weights_are_set_and_a_sample_is_drawn_under_them(redis_url: str, prefix: str, client: SampleClient) -> None:
    with serving_in_background(redis_url, prefix):
        with warnings.catch_warnings(record=True) as said:  # this worker shows no state
            warnings.simplefilter("always")
            change = client.set_weights(MIX, reason="more speech")
        assert {one.category for one in said} == {WeightsWarning}
        assert {one.filename for one in said} == {__file__}
        assert change.after == pytest.approx(SHARES)
        assert change.before == default_weights().shares
        assert (change.who, change.reason, change.dataset, change.preset) == (user(), "more speech", None, None)
        assert client.sample(8).weights_version == change.version
        shown = client.weights()
        assert (shown.version, shown.source, shown.who, shown.reason) == (
            change.version,
            "redis",
            user(),
            "more speech",
        )
        assert shown.set_at_ms == change.at_ms
        assert client.sample(8, dataset="d").weights_version == change.version
        with pytest.warns(WeightsWarning):
            own = client.set_weights({"music": 1}, "d", who="ann")
        assert client.sample(8, dataset="d").counts == {"music": 8}
        assert [client.weights(name).version for name in (None, "d", "e")] == [
            change.version,
            own.version,
            change.version,
        ]
        assert [client.weights(name).dataset for name in (None, "d", "e")] == [None, "d", None]


def quiet(client: SampleClient) -> SampleClient:
    """Return the client; that no worker runs is not news."""
    warnings.filterwarnings("ignore", category=WeightsWarning)
    return client


@pytest.fixture
def alone(client: SampleClient) -> Any:
    """A client without any worker."""
    with warnings.catch_warnings():
        yield quiet(client)


def test_changes_are_in_the_history_and_can_be_undone(alone: SampleClient, redis_url: str, prefix: str) -> None:
    first = alone.set_weights({"voice": 1}, reason="why")
    second = alone.set_weights([("music", 1.0)], who="ann", if_version=first.version)
    alone.set_weights({"music": 1}, preset="night")
    assert alone.sample_many([]) == []
    assert [(one.version, one.who, one.preset) for one in alone.weights_history()] == [
        (second.version, user(), "night"),
        (second.version, "ann", None),
        (first.version, user(), None),
    ]
    assert alone.weights_history(count=1, preset="night")[0].dataset is None
    back = alone.roll_back_weights(reason="too loud")
    assert (back.version, back.reason) == (first.version, f"rollback to {first.version}: too loud")
    assert alone.roll_back_weights(second.version).after == {"music": 1.0}
    gone = alone.remove_weights(reason="enough")
    assert (gone.version, gone.after) == (default_weights().version, default_weights().shares)
    assert alone.weights().source == "default"
    with connect(redis_url) as server:
        assert not server.exists(Keys(prefix).weights())
        assert len(server.xrange(Keys(prefix).history)) == len(alone.weights_history()) == 6


def test_presets_are_listed_saved_and_removed(alone: SampleClient) -> None:
    assert list(alone.presets()) == ["balanced", "voice-heavy", "music-heavy"]
    assert alone.presets()["balanced"].weights is None  # nobody knows what is READY
    night = alone.set_weights({"voice": 1, "music": 3}, preset="night")
    found = alone.presets()
    assert (found["night"].is_built_in, found["night"].version) == (False, night.version)
    weights = found["voice-heavy"].weights
    assert weights is not None
    assert alone.set_weights(weights).version == found["voice-heavy"].version
    assert alone.remove_weights(preset="night").after == {}
    assert list(alone.presets()) == ["balanced", "voice-heavy", "music-heavy"]
    with pytest.raises(WeightsError, match=r"'night' is not stored; accepted: one that presets\(\) has"):
        alone.remove_weights(preset="night")


def test_weights_for_a_time_say_until_when(alone: SampleClient) -> None:
    change = alone.set_weights({"voice": 1}, for_s=90)
    assert change.until_ms is not None
    assert abs(change.until_ms - change.at_ms - 90_000) < 50  # the entry is younger than what it was planned on
    assert alone.weights().until_ms == change.until_ms
    assert alone.set_weights({"voice": 1}).until_ms is alone.weights().until_ms is None


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ({"voice": 0, "music": 0.0}, r"all weights are zero; accepted: at least one above zero, or remove_weights\(\)"),
        ({}, "all weights are zero; accepted: "),
        ({"Voice": 1}, "'Voice' is not a category name; accepted: "),
        ({1: 1}, "1 is not a category name; accepted: "),
        ({"voice": -1}, "the weight of 'voice' is -1.0; accepted: finite numbers >= 0"),
        ({"voice": float("nan")}, "the weight of 'voice' is nan; accepted"),
        ({"voice": 10**400}, "the weight of 'voice' is inf; accepted"),
        ({"voice": True}, "the weight of 'voice' is not a number; accepted"),
        ({"voice": np.True_}, "the weight of 'voice' is not a number; accepted"),
        ({"voice": "0.7"}, "the weight of 'voice' is not a number; accepted"),
        ([("voice", 1), ("voice", 2)], "'voice' is given twice; accepted: each category once"),
        ("voice=0.7", "'voice=0.7' are no weights; accepted: a dict"),
        (None, "None are no weights; accepted: a dict"),
        (0.7, "0.7 are no weights; accepted: a dict"),
        ({f"c{i}": 1 for i in range(10_001)}, "the object has 10001 categories; accepted: at most 10000"),
    ],
)
def test_what_workers_would_refuse_is_not_stored(alone: SampleClient, weights: Any, sentence: str) -> None:
    with pytest.raises(WeightsError, match=sentence):
        alone.set_weights(weights)
    assert alone.weights_history() == []


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"dataset": "a b"}, WeightsError, "dataset 'a b' is not accepted; accepted: "),
        ({"dataset": 7}, TypeError, "dataset is 7; accepted: a text"),
        ({"dataset": "d", "preset": "p"}, WeightsError, "dataset and preset exclude each other"),
        ({"preset": "balanced"}, WeightsError, "'balanced' is built in; accepted: another name"),
        ({"if_version": "1"}, WeightsError, "if_version is '1'; accepted: 12 hex digits"),
        ({"for_s": 0}, WeightsError, "for_s is 0; accepted: seconds from 0.001 to 31,622,400"),
        ({"for_s": "2h"}, TypeError, "for_s is '2h'; accepted: seconds"),
        ({"timeout_s": float("nan")}, WeightsError, "timeout_s is nan; accepted: seconds"),
        ({"wait": 1}, TypeError, "wait is 1; accepted: True or False"),
        ({"who": 1}, TypeError, "who is 1; accepted: a text"),
        ({"because": "x"}, TypeError, "because is not an argument; accepted: preset, reason, who, wait, timeout_s"),
    ],
)
def test_an_argument_that_is_not_accepted_is_named(
    options: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    client = SampleClient(NOWHERE)
    with pytest.raises(error, match=sentence):
        client.set_weights({"voice": 1}, **options)
    client.close()


def test_a_change_that_was_not_seen_is_not_overwritten(alone: SampleClient) -> None:
    seen = alone.weights().version
    stored = alone.set_weights({"voice": 1}, who="bob", reason="mine")
    with pytest.raises(StaleError, match=rf"version {stored.version} is in force, set by bob at .* \(mine\)"):
        alone.set_weights({"music": 1}, if_version=seen)
    assert alone.weights().version == stored.version


def test_workers_that_have_not_applied_it_are_named(client: SampleClient, ghost: Any) -> None:
    ghost("late", {"weights_version": default_weights().version, "ready": {"voice": 9}, "categories": 1})
    with pytest.warns(WeightsWarning) as said:
        change = client.set_weights({"voice": 3, "musik": 1}, timeout_s=0.2)
    assert (change.applied_by, change.missing, change.left_out) == ((), ("late",), {"musik": 0.25})
    assert change.waited_ms is not None
    assert change.waited_ms >= 200
    assert [str(one.message) for one in said] == list(change.warnings)
    assert change.warnings == (
        "musik has no READY chunk: its 25.0% go to voice; did you mean music?",
        "applied by 0 of 1 worker within 0.2 s; not by late",
    )
    shown = client.weights()
    assert (shown.version, shown.workers) == (default_weights().version, ("late",))
    ghost("late", {"weights_version": change.version, "ready": {"voice": 9, "musik": 1}, "categories": 2})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = client.set_weights({"voice": 3, "musik": 1})
        unseen = client.set_weights({"voice": 3, "musik": 1}, wait=False)
    assert (again.applied_by, again.missing, again.left_out, again.warnings) == (("late",), (), {}, ())
    assert (unseen.applied_by, unseen.waited_ms) == (None, None)
    assert client.presets()["balanced"].weights == {"voice": 1.0}
    assert client.weights().workers == ("late",)
    ghost("late", {"weights_version": change.version, "ready": {"voice": 9, "noise": 1}, "categories": 2})
    assert client.weights().unweighted == ("noise",)


async def test_awaited_calls_do_the_same(async_client: AsyncSampleClient) -> None:
    client = async_client
    with pytest.warns(WeightsWarning) as said:
        change = await client.set_weights({"voice": 1}, reason="why")
    assert {one.filename for one in said} == {__file__}
    assert change.warnings == ("the weights are stored, but no worker is alive, so that none has applied them",)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert (await client.weights()).version == change.version
        await client.set_weights({"voice": 1}, preset="night")
        assert "night" in await client.presets()
        assert (await client.roll_back_weights()).after == default_weights().shares
        assert (await client.remove_weights(preset="night")).after == {}
        assert len(await client.weights_history()) == 4
        assert [one.reason for one in await client.weights_history(count=9)][-1] == "why"


async def test_plain_calls_work_in_a_notebook_whose_event_loop_runs(alone: SampleClient) -> None:
    assert alone.set_weights({"voice": 1}, who="ann").version == alone.weights().version
    assert alone.weights().who == "ann"


@pytest.mark.any_redis
@pytest.mark.parametrize(("kind", "value"), [("string", b"no JSON"), ("string", b"\xff"), ("list", b"x")])
def test_whatever_stands_in_redis_calls_return_or_raise_errors_of_ours(
    alone: SampleClient, redis_url: str, prefix: str, kind: str, value: bytes
) -> None:
    alone.set_weights({"voice": 1}, for_s=60)
    alone.set_weights({"music": 1}, preset="night")
    keys = Keys(prefix)
    calls: list[Callable[[], object]] = [
        alone.weights,
        alone.presets,
        alone.weights_history,
        lambda: alone.set_weights({"voice": 1}, timeout_s=0.01),
        lambda: alone.roll_back_weights(wait=False),
        lambda: alone.remove_weights(wait=False),
    ]
    names = (keys.weights(), keys.weights("preset:night"), keys.history, keys.returns, keys.presets, keys.worker("w"))
    with connect(redis_url) as server:
        for name in names:
            before = server.dump(name)
            server.delete(name)
            if kind == "string":
                server.set(name, value)
            else:
                server.rpush(name, value)
            for call in calls:
                with suppress(SamplingError):
                    call()
            server.delete(name)
            if before is not None:
                server.restore(name, 0, before)


def test_a_value_that_is_refused_is_told(alone: SampleClient, redis_url: str, prefix: str) -> None:
    with connect(redis_url) as server:
        server.set(Keys(prefix).weights(), '{"voice": NaN}')
    shown = alone.weights()
    assert shown.problem == "a weight is NaN; accepted: finite numbers >= 0"
    assert dict(DEFAULTS).items() >= dict(shown.weights or {}).items()


def test_a_forked_process_changes_weights_by_itself(redis_url: str, prefix: str) -> None:
    found = json.loads(run_job("-W", "ignore", str(PROGRAMS / "mixers.py"), redis_url, prefix))
    assert sorted(found["heard"]) == ["child 0", "child 1", "parent"]
