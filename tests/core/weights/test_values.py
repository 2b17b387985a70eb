"""Weights: bytes of strangers are read or refused, and equal weights have equal versions."""

import hashlib
import json
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.weights.values import (
    BUILT_IN,
    DEFAULTS,
    MAX_BYTES,
    MAX_CATEGORIES,
    Weights,
    default_weights,
    defaults_for,
    normalise,
    parse_weights,
    single_category,
)
from worker.errors import WeightsError

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789_-"
names = st.from_regex(r"[a-z0-9_-]{1,64}", fullmatch=True)
numbers = st.integers(0, 1000) | st.floats(0, 1e6) | st.floats(0, allow_infinity=False)
tables = st.dictionaries(names, numbers, max_size=20)
some_weights = tables.filter(lambda values: any(values.values()))


def _version(values: dict[str, float]) -> str:
    """The version as the wire contract defines it, in exact arithmetic up to the rounding."""
    total = sum(map(Fraction, values.values()))
    shares = {name: round(float(Fraction(values[name]) / total), 9) for name in sorted(values) if values[name] > 0}
    text = "{" + ",".join(f"{json.dumps(name)}:{json.dumps(share)}" for name, share in shares.items()) + "}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _read(value: str | bytes) -> Weights | None:
    return parse_weights(value if isinstance(value, bytes) else value.encode(), "redis")


def _shares(weights: Weights | None) -> dict[str, float]:
    assert weights is not None
    return dict(weights.shares)


def _refusal(value: str | bytes) -> str:
    with pytest.raises(WeightsError) as refusal:
        _read(value)
    return str(refusal.value)


REFUSED = {
    "NaN": ('{"voice": NaN}', "a weight is NaN"),
    "Infinity": ('{"voice": Infinity}', "a weight is Infinity"),
    "minus Infinity": ('{"voice": -Infinity}', "a weight is -Infinity"),
    "beyond floats": ('{"voice": 1e999}', "'voice' is inf"),
    "a whole number beyond floats": (f'{{"voice": 1{"0" * 400}}}', "'voice' is inf"),
    "a whole number of too many digits": (f'{{"voice": 1{"0" * 5000}}}', "not JSON"),
    "negative": ('{"voice": -0.1}', "'voice' is -0.1"),
    "nested object": ('{"voice": {"a": 1}}', "'voice' is not a number"),
    "nested list": ('{"voice": [1]}', "'voice' is not a number"),
    "text number": ('{"voice": "5"}', "'voice' is not a number"),
    "true": ('{"voice": true}', "'voice' is not a number"),
    "false": ('{"voice": false}', "'voice' is not a number"),
    "null": ('{"voice": null}', "'voice' is not a number"),
    "twice": ('{"voice": 1, "music": 1, "voice": 1}', "'voice' is given twice"),
    "twice, once escaped": ('{"voice": 1, "v\\u006fice": 1}', "'voice' is given twice"),
    "empty name": ('{"": 1}', "'' is not a category name"),
    "capitals": ('{"Voice": 1}', "'Voice' is not a category name"),
    "space": ('{"a b": 1}', "'a b' is not a category name"),
    "colon": ('{"a:b": 1}', "'a:b' is not a category name"),
    "other letters": ('{"é": 1}', "is not a category name"),
    "lone surrogate": ('{"\\ud800": 1}', "is not a category name"),
    "line feed": ('{"voice\\n": 1}', "is not a category name"),
    "long name": (f'{{"{"x" * 65}": 1}}', "is not a category name"),
    "very long name": (f'{{"{"x" * 100_000}": 1}}', "is not a category name"),
    "a list": ("[1, 2]", "not a JSON object"),
    "a list of pairs": ('[["voice", 1]]', "not a JSON object"),
    "a number": ("5", "not a JSON object"),
    "text": ('"voice"', "not a JSON object"),
    "null alone": ("null", "not a JSON object"),
    "nothing": ("", "not JSON"),
    "half an object": ('{"voice": 0.7', "not JSON"),
    "trailing words": ('{"voice": 0.7} and more', "not JSON"),
    "single quotes": ("{'voice': 1}", "not JSON"),
    "binary": (bytes(range(256)), "not JSON"),
    "zero bytes": (b"\0" * 100, "not JSON"),
    "broken UTF-8": (b'{"voice\xff": 1}', "not JSON"),
    "a byte order mark": (b'\xef\xbb\xbf{"voice": 1}', "not JSON"),
    "deep lists": ("[" * 100_000, "not JSON"),
    "deep objects": ('{"a":' * 100_000, "not JSON"),
    "deep weight": ('{"voice":' + "[" * 100_000 + "]" * 100_000 + "}", "not JSON"),
    "too many": (json.dumps({f"c{i}": 1 for i in range(MAX_CATEGORIES + 1)}), f"has {MAX_CATEGORIES + 1} categories"),
    "too large": (b'{"voice": 1}' + b" " * MAX_BYTES, f"has {MAX_BYTES + 12} bytes"),
}


@pytest.mark.fault("weights of strangers: deep, huge, doubled, NaN, byte order mark, lone surrogates", "G04", "E04")
@pytest.mark.parametrize(("value", "why"), REFUSED.values(), ids=REFUSED)
def test_values_that_are_refused_say_why_and_what_is_accepted(value: str | bytes, why: str) -> None:
    sentence = _refusal(value)
    assert why in sentence
    assert "accepted: " in sentence
    assert sentence.isascii()
    assert sentence.isprintable()
    assert len(sentence) <= 300


@pytest.mark.fault("weights of strangers: deep, huge, doubled, NaN, byte order mark, lone surrogates", "G04", "E04")
@given(st.binary() | st.text().map(str.encode))
def test_bytes_are_read_or_refused_and_nothing_else(value: bytes) -> None:
    try:
        weights = _read(value)
    except WeightsError:
        weights = None
    assert weights is None or math.isclose(math.fsum(weights.shares.values()), 1)


leaves = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)
trees = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


@given(st.dictionaries(names | st.text(), trees))
def test_objects_are_accepted_exactly_when_every_member_is_right(values: dict[str, object]) -> None:
    def right(name: str, value: object) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and 0 <= value < math.inf and 1 <= len(name) <= 64 and not name.strip(ALPHABET)  # type: ignore[operator]

    try:
        _read(json.dumps(values))
    except WeightsError:
        assert not all(right(name, value) for name, value in values.items())
    else:
        assert all(right(name, value) for name, value in values.items())


@given(some_weights)
def test_valid_weights_sum_to_one_keep_their_ratios_and_leave_zeros_out(values: dict[str, float]) -> None:
    shares = _shares(_read(json.dumps(values)))
    total = sum(map(Fraction, values.values()))
    assert math.fsum(shares.values()) == pytest.approx(1, abs=1e-12)
    assert all(share > 0 for share in shares.values())
    for name, value in values.items():
        assert shares.get(name, 0) == pytest.approx(float(Fraction(value) / total), rel=1e-12, abs=1e-300)


@given(some_weights)
def test_the_version_is_the_contracts(values: dict[str, float]) -> None:
    weights = normalise(values, "redis")
    assert weights is not None
    assert weights.version == _version({name: value for name, value in values.items() if name in weights.shares})


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"voice": 0.7, "music": 0.2}, '{"music":0.222222222,"voice":0.777777778}'),
        (dict(DEFAULTS), '{"conference":0.1,"documentary":0.2,"music":0.3,"voice":0.4}'),
        ({"b": 5, "a": 0}, '{"b":1.0}'),
        ({"a": 1, "b": 1e-12}, '{"a":1.0,"b":0.0}'),
        ({"a": 1, "b": 1023}, '{"a":0.000976562,"b":0.999023438}'),
        ({"a": 1e308, "b": 1e308}, '{"a":0.5,"b":0.5}'),
        ({"a": 5e-324, "b": 5e-324}, '{"a":0.5,"b":0.5}'),
    ],
)
def test_texts_and_versions(values: dict[str, float], text: str) -> None:
    weights = normalise(values, "redis")
    assert weights is not None
    assert weights.text == text
    assert weights.version == hashlib.sha256(text.encode()).hexdigest()[:12]


def test_the_version_of_the_defaults_is_pinned() -> None:
    assert default_weights().version == "2b630f93c191"


@given(some_weights, st.permutations(range(20)))
def test_order_and_source_do_not_change_the_version(values: dict[str, float], order: list[int]) -> None:
    items = list(values.items())
    shuffled = dict(items[i] for i in order if i < len(items))
    first, second = normalise(values, "redis"), normalise(shuffled, "dataset")
    assert first is not None
    assert second is not None
    assert first.version == second.version


@given(st.dictionaries(names, st.floats(5e-324, 1.7976931348623157e308), min_size=1, max_size=50))
def test_the_ends_of_the_range_do_no_harm(values: dict[str, float]) -> None:
    shares = _shares(normalise(values, "redis"))
    assert math.fsum(shares.values()) == pytest.approx(1, abs=1e-12)
    largest = max(values, key=values.__getitem__)
    assert shares[largest] == max(shares.values())


def test_ten_thousand_largest_numbers_are_equal_shares() -> None:
    shares = _shares(normalise({f"c{i}": 1.7976931348623157e308 for i in range(MAX_CATEGORIES)}, "redis"))
    assert len(shares) == MAX_CATEGORIES
    assert set(shares.values()) == {1e-4}


@given(some_weights)
def test_every_share_is_drawn_and_by_what_the_version_knows(values: dict[str, float]) -> None:
    """Equal versions have to draw alike; what rounds to nothing is still drawn now and then."""
    weights = normalise(values, "redis")
    assert weights is not None
    for name, share in weights.shares.items():
        assert weights.drawn_share(name) > 0
        assert weights.drawn_share(name) == pytest.approx(share, abs=1e-9)


@pytest.mark.parametrize("values", [{}, {"voice": 0}, {"voice": 0, "x": 0.0, "y": -0.0}])
def test_all_zero_is_no_weights(values: dict[str, float]) -> None:
    assert normalise(values, "redis") is None
    assert _read(json.dumps(values)) is None


def test_the_largest_object_is_read() -> None:
    values = {f"c{i}": 1 for i in range(MAX_CATEGORIES)}
    assert len(_shares(_read(json.dumps(values)))) == MAX_CATEGORIES
    assert _shares(_read(b'{"voice": 1}' + b" " * (MAX_BYTES - 12))) == {"voice": 1}


def test_weights_cannot_be_edited() -> None:
    weights = normalise({"voice": 1}, "redis")
    assert weights is not None
    with pytest.raises(TypeError):
        weights.shares["voice"] = 2  # type: ignore[index]


def test_the_defaults_are_the_contracts() -> None:
    assert _shares(default_weights()) == {"voice": 0.4, "music": 0.3, "documentary": 0.2, "conference": 0.1}
    assert default_weights().source == "default"
    assert set(BUILT_IN) == {"voice", "music", "documentary", "conference", "custom"}
    assert DEFAULTS["custom"] == 0


@pytest.mark.parametrize(
    ("ready", "weighed"),
    [
        ({"speech", "songs", "noise"}, {"speech", "songs", "noise"}),
        ({"custom"}, {"custom"}),
        ({"custom", "own"}, {"custom", "own"}),
        ({f"c{i}" for i in range(10_000)}, {f"c{i}" for i in range(10_000)}),
    ],
)
def test_where_nothing_that_the_defaults_weigh_is_ready_they_weigh_all_that_is_alike(
    ready: set[str], weighed: set[str]
) -> None:
    weights = defaults_for(ready)
    assert weights.shares == pytest.approx(dict.fromkeys(weighed, 1 / len(weighed)))
    assert weights.source == "default"
    assert parse_weights(weights.exact_text.encode(), "session") is not None


@pytest.mark.parametrize("ready", [set(), {"conference", "speech"}, {"voice"}, {f"c{i}" for i in range(10_001)}])
def test_everywhere_else_the_defaults_are_the_built_in_ones(ready: set[str]) -> None:
    assert defaults_for(ready) is default_weights()


def test_a_named_category_has_all_the_weight() -> None:
    weights = single_category("voice")
    assert (dict(weights.shares), weights.source) == ({"voice": 1.0}, "category")
    assert weights.version == _version({"voice": 1})
