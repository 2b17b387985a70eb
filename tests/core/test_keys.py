"""The names in Redis are those of the wire contract, below any prefix."""

import pytest

from worker.core.keys import CATALOG_CHANNEL, CATEGORY_PATTERN, GROUP, NAME_PATTERN, Keys


@pytest.mark.parametrize("prefix", ["audio", "{audio}", "a:b"])
def test_names_are_those_of_the_contract(prefix: str) -> None:
    keys = Keys(prefix)
    assert {
        "requests": keys.requests,
        "results": keys.results,
        "reply": keys.reply("job-1"),
        "asked": keys.asked("job-1"),
        "dead": keys.dead,
        "stats": keys.stats,
        "weights": keys.weights(),
        "dataset": keys.weights("speech"),
        "history": keys.history,
        "returns": keys.returns,
        "presets": keys.presets,
        "worker": keys.worker("host-1"),
    } == {
        "requests": f"{prefix}:sample:requests",
        "results": f"{prefix}:sample:results",
        "reply": f"{prefix}:sample:results:job-1",
        "asked": f"{prefix}:sample:asked:job-1",
        "dead": f"{prefix}:sample:dead",
        "stats": f"{prefix}:sample:stats",
        "weights": f"{prefix}:category:weights",
        "dataset": f"{prefix}:category:weights:speech",
        "history": f"{prefix}:weights:history",
        "returns": f"{prefix}:weights:returns",
        "presets": f"{prefix}:weights:presets",
        "worker": f"{prefix}:worker:host-1",
    }


def test_one_pattern_matches_the_channels_of_all_weights_keys() -> None:
    keys = Keys("audio")
    start = keys.weights_pattern.removesuffix("*")
    assert keys.weights_pattern == f"{start}*"
    assert keys.weights().startswith(start)
    assert keys.weights("speech").startswith(start)


def test_the_group_and_the_channel_have_names() -> None:
    assert GROUP == "samplers"
    assert CATALOG_CHANNEL


@pytest.mark.parametrize("name", ["a", "0", "-", "_", "voice", "sound-scape_2", "x" * 64])
def test_category_names(name: str) -> None:
    assert CATEGORY_PATTERN.fullmatch(name)


@pytest.mark.parametrize("name", ["", "Voice", "a b", "a.b", "a:b", "é", "٣", "a\n", "x" * 65])
def test_no_category_names(name: str) -> None:
    assert not CATEGORY_PATTERN.fullmatch(name)


@pytest.mark.parametrize("name", ["a", "A", "0", ".", "-", "_", "Job_1.b-2", "x" * 64])
def test_names_of_datasets_and_replies(name: str) -> None:
    assert NAME_PATTERN.fullmatch(name)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a/b", "é", "٣", "a\n", "x" * 65])
def test_no_names_of_datasets_and_replies(name: str) -> None:
    assert not NAME_PATTERN.fullmatch(name)
