"""Mixes that were made elsewhere: what is read of each shape, and which sentence refuses what."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.adjust.mixes import UNITS, Phase, Until, phases_of, schedule_of
from worker.core.adjust.rules import RULES
from worker.errors import WeightsError

ONE = {"voice": 0.5, "music": 0.5}
PHASES = {
    "phases": [
        {"name": "warm-up", "until": {"chunks": 1_000_000}, "weights": {"voice": 1}},
        {"name": "main", "until": {"chunks": 5e6}, "weights": {"voice": 3, "music": 1}},
        {"weights": {"music": 2}},
    ]
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["weights", "phases", "mix", "splits", "train", "blend", "input_cfg", "weight", "path", "until", "name"]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)

# What each tool writes, in small.
OLMIX_PROPOSED = [{"domain": "dclm:science", "weight": 0.25}, {"domain": "wiki", "weight": 0.75}]
OLMIX_FLAT = {"mix": {"dclm:science": {"weight": 0.5, "repetition_factor": 2.0}, "wiki": {"weight": 0.5}}}
OLMIX_NESTED = {
    "name": "a run",
    "mix": {
        "dclm": {"weight": 0.8, "science": {"weight": 0.25, "repetition_factor": 1.0}, "games": {"weight": 0.75}},
        "wiki": {"weight": 0.2, "repetition_factor": 3.0},
    },
}
OLMIX_PAIRS = {"mix": {"dclm:science": [0.25, 1.0], "wiki": [0.75, 1.5]}}
REGMIX = {"train": {"train_speech": 0.9, "train_songs": 0.1}, "valid": {"valid_speech": 1.0}, "model_name": "small"}
ENERGON = {
    "__module__": "megatron.energon",
    "__class__": "MetadatasetV2",
    "splits": {
        "train": {"blend": [{"weight": 5, "path": "./speech"}, {"weight": 2, "path": "./songs"}, {"path": "./songs"}]},
        "val": {"path": "./speech"},
    },
}
ENERGON_OLDER = {"splits": {"train": {"datasets": [{"weight": 3, "path": "speech"}, {"weight": 1, "path": "songs"}]}}}
NEMO = {
    "input_cfg": [
        {
            "type": "group",
            "weight": 0.7,
            "input_cfg": [
                {"type": "nemo_tarred", "manifest_filepath": "/a/speech/manifest.json", "weight": 6},
                {"type": "lhotse_shar", "shar_path": "/a/calls", "weight": 2},
            ],
        },
        {"type": "lhotse", "cuts_path": "/a/songs.jsonl.gz", "weight": 0.3, "tags": {"corpus": "songs"}},
    ]
}


def weights_of(phase: Phase) -> dict[str, float]:
    """Return the weights by the names of the document; a source that comes twice weighs the sum."""
    found: dict[str, float] = {}
    for source in phase.sources:
        found[source.label] = found.get(source.label, 0.0) + source.weight
    return found


@pytest.mark.parametrize(
    ("document", "weights"),
    [
        (ONE, ONE),
        ({"weights": {"voice": 2, "music": 1}, "made_by": "hand"}, {"voice": 2.0, "music": 1.0}),
        ({"weights": 0.5, "mix": 0.25, "train": 0.25}, {"weights": 0.5, "mix": 0.25, "train": 0.25}),
        (OLMIX_PROPOSED, {"dclm:science": 0.25, "wiki": 0.75}),
        (OLMIX_FLAT, {"dclm:science": 0.5, "wiki": 0.5}),
        (OLMIX_NESTED, {"dclm:science": 0.2, "dclm:games": 0.6, "wiki": 0.2}),
        (OLMIX_PAIRS, {"dclm:science": 0.25, "wiki": 0.75}),
        (REGMIX, {"train_speech": 0.9, "train_songs": 0.1}),
        (ENERGON, {"./speech": 5.0, "./songs": 3.0}),
        (ENERGON_OLDER, {"speech": 3.0, "songs": 1.0}),
        ({"splits": {"train": {"path": "./speech"}}}, {"./speech": 1.0}),
        (NEMO, {"/a/speech/manifest.json": 0.525, "/a/calls": 0.175, "songs": 0.3}),
        ({"train_ds": NEMO}, {"/a/speech/manifest.json": 0.525, "/a/calls": 0.175, "songs": 0.3}),
        ({"model": {"train_ds": NEMO}}, {"/a/speech/manifest.json": 0.525, "/a/calls": 0.175, "songs": 0.3}),
        (NEMO["input_cfg"], {"/a/speech/manifest.json": 0.525, "/a/calls": 0.175, "songs": 0.3}),
        (
            [{"type": "nemo", "manifest_filepath": "a"}, {"type": "nemo", "manifest_filepath": "b"}],
            {"a": 0.5, "b": 0.5},
        ),
    ],
)
def test_what_each_tool_writes_is_read(document: Any, weights: dict[str, float]) -> None:
    [phase] = phases_of(document)
    assert weights_of(phase) == pytest.approx(weights)
    assert (phase.name, phase.until) == ("", None)


@given(
    st.lists(st.integers(1, 10**15), min_size=1, max_size=9, unique=True),
    st.sampled_from(UNITS),
    st.booleans(),
)
def test_phases_become_points_that_the_rule_takes(ends: list[int], unit: str, has_end: bool) -> None:  # noqa: FBT001 - a case
    amounts: list[int | None] = [*sorted(ends)] if has_end else [*sorted(ends)[:-1], None]
    weights = [{"voice": number, "music": 1.0} for number in range(1, len(ends) + 1)]
    phases = [
        {"name": f"p{number}", "weights": one} | ({} if end is None else {"until": {unit: end}})
        for number, (one, end) in enumerate(zip(weights, amounts, strict=True))
    ]
    read = phases_of({"phases": phases})
    parameters = RULES["schedule"].check(schedule_of(read, [weights_of(phase) for phase in read]))
    assert [point["at"] for point in parameters["points"]] == [0, *sorted(ends)[:-1]]
    assert [point["weights"] for point in parameters["points"]] == weights
    assert parameters["unit"] == (unit if amounts[0] is not None else "chunks")


def test_phases_are_read_in_their_order() -> None:
    first, second, third = phases_of(PHASES)
    assert (first.name, first.until, weights_of(first)) == ("warm-up", Until("chunks", 1e6), {"voice": 1.0})
    assert (second.name, second.until, weights_of(second)) == (
        "main",
        Until("chunks", 5e6),
        {"voice": 3.0, "music": 1.0},
    )
    assert (third.name, third.until, weights_of(third)) == ("3", None, {"music": 2.0})


def _phases(*phases: Any) -> dict[str, Any]:
    return {"phases": list(phases)}


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (None, "this is no mix; accepted: an object of weights"),
        ("voice", "this is no mix"),
        ({}, "this is no mix"),
        ([1, 2], "this is no mix"),
        ({"a": "b"}, "this is no mix"),
        ({"weights": {}}, "no weights are given"),
        ({"weights": {"voice": "1"}}, "the weight of 'voice' is not a number; accepted: finite numbers >= 0"),
        ({"voice": -1}, "the weight of 'voice' is -1.0"),
        ({"voice": float("nan")}, "the weight of 'voice' is nan"),
        ({"voice": 10**400}, "the weight of 'voice' is inf"),
        ({"voice": True}, "this is no mix"),
        ({"weights": {"voice": True}}, "the weight of 'voice' is not a number"),
        ({"voice": 0, "music": 0}, "all weights are zero"),
        ([], "all weights are zero"),
        (_phases(), "accepted: a list of 1 to 1,000"),
        ({"phases": "a"}, "phases is no list of phases"),
        (_phases({"until": {"chunks": 1}}), "phase 1 has no weights"),
        (_phases({"weights": ONE, "name": ""}), "the name of phase 1 is ''; accepted: 1 to 200 characters"),
        (_phases({"weights": {"voice": 0}}), "all weights of phase '1' are zero"),
        (_phases({"weights": ONE}, {"weights": ONE}), "phase '1' has no until; accepted: only the last phase has none"),
        (_phases({"weights": ONE, "until": 5}), "until of phase '1' is 5; accepted: one of chunks, requests, hours"),
        (_phases({"weights": ONE, "until": {"days": 5}}), "until of phase '1' is {'days': 5}"),
        (_phases({"weights": ONE, "until": {"hours": 0}}), "and a number above 0"),
        (_phases({"weights": ONE, "until": {"hours": float("nan")}}), "and a number above 0"),
        (_phases({"weights": ONE, "until": {"hours": True}}), "and a number above 0"),
        (_phases({"weights": ONE, "until": {"hours": 1, "chunks": 1}}), "one of chunks, requests, hours"),
        (
            _phases({"weights": ONE, "until": {"hours": 1}, "name": "a"}, {"weights": ONE, "name": "a"}),
            "phase 'a' is there 2 times",
        ),
        (
            _phases({"weights": ONE, "until": {"hours": 1}}, {"weights": ONE, "until": {"chunks": 9}}),
            "phases last by hours and by chunks; accepted: one of chunks, requests, hours for all",
        ),
        (
            _phases({"weights": ONE, "until": {"chunks": 2000}}, {"weights": ONE, "until": {"chunks": 1000}}),
            "phase '2' ends at 1,000 chunks, and the one before it at 2,000; accepted: ends that grow",
        ),
        ({"splits": {"val": {}}}, "splits has no train"),
        ({"splits": {"train": {"join": []}}}, "the split train has no blend"),
        ({"splits": {"train": {"blend_epochized": []}}}, "blend_epochized has repetitions, and no weights"),
        ({"splits": {"train": {"blend": [{"weight": 1}]}}}, "item 1 does not say which source it is"),
        ({"input_cfg": []}, "input_cfg is not a list of objects"),
        ({"input_cfg": [1]}, "input_cfg is not a list of objects"),
        (
            {"input_cfg": [{"corpus": "a", "weight": 1}, {"corpus": "b"}]},
            "some items of input_cfg have a weight, and others none; accepted: all or none",
        ),
        ({**NEMO, "reweight_temperature": 0.5}, "reweight_temperature is not read"),
        ({"mix": {"a": {"weight": 1e308, "b": {"weight": 1e308}}}}, "infinite"),
        ({"mix": {"a": [1, 2, 3]}}, "the weight of 'a' is not a number"),
    ],
)
def test_what_is_no_mix_is_refused_with_what_is_accepted(document: Any, sentence: str) -> None:
    with pytest.raises(WeightsError) as refusal:
        phases_of(document)
    assert sentence in str(refusal.value)
    assert "accepted: " in str(refusal.value)


@pytest.mark.parametrize("key", ["mix", "input_cfg"])
def test_deep_documents_are_refused(key: str) -> None:
    document: Any = {"weight": 1.0, "corpus": "a"}
    for _ in range(100):
        document = {"x": document} if key == "mix" else {"input_cfg": [document]}
    with pytest.raises(WeightsError, match="nested deeper than 32 levels; accepted: at most that"):
        phases_of({"mix": document} if key == "mix" else document)


@given(json_values)
def test_any_document_is_read_or_refused(document: Any) -> None:
    with suppress(WeightsError):
        phases = phases_of(document)
        assert phases
        assert all(sum(source.weight for source in phase.sources) > 0 for phase in phases)
