"""Manifests made from fixed seeds: valid, unusual or broken. None is misread without a sentence that says so."""

import random

import pytest

from tests.faults.fuzz_manifests import OUTCOMES, outcome_of
from tests.faults.manifest_mutations import Draft, mutated

FILES_A_PART = 500


@pytest.mark.parametrize("part", range(8))
def test_manifest_is_taken_as_meant_or_refused(part: int) -> None:
    seeds = range(part * FILES_A_PART, (part + 1) * FILES_A_PART)
    outcomes = {seed: outcome_of(mutated(seed), random.Random(seed)) for seed in seeds}
    different = {seed: mutated(seed).content for seed, outcome in outcomes.items() if outcome == OUTCOMES[-1]}
    assert different == {}
    assert {"taken", "refused"} <= set(outcomes.values())


def test_right_manifests_are_taken() -> None:
    drafts = [draft for draft in map(mutated, range(2000)) if not draft.done]
    assert len(drafts) > 200
    assert {outcome_of(draft, random.Random(1)) for draft in drafts} == {"taken"}


@pytest.mark.parametrize(
    ("meant", "content"),
    [
        ([("a", "voice", "FAILED", None)], b"path,category\na,voice\n"),
        ([("a", "voice", "READY", None)], b"path,category\na,voice\nb,voice\n"),
        (None, b"path,category\na ,voice\nb,\xc3\xa9\n"),
    ],
)
def test_what_is_read_as_something_else_is_seen(meant: list[tuple[str, str, str, None]] | None, content: bytes) -> None:
    draft = Draft(list(meant) if meant else None, [], [], is_json=False, content=content)
    expected = "refused" if meant is None else OUTCOMES[-1]
    assert outcome_of(draft, random.Random(1)) == expected
