"""Category and split of a file, by its folders, a pattern, a regular expression or one name for all."""

import pytest

from worker.core.catalog.scan import Place, Placing, Rules
from worker.errors import ScanError


@pytest.mark.parametrize(
    ("pattern", "path", "place"),
    [
        (None, "voice/a/x.wav", ("voice", None)),
        (None, "x.wav", None),
        ("{split}/{category}/", "train/voice/x.wav", ("voice", "train")),
        ("{split}/{category}", "train/voice/deep/x.wav", ("voice", "train")),
        ("./{split}/{category}/", "Train/Voice/x.wav", ("voice", "train")),
        ("{split}/{category}/", "train/x.wav", None),
        ("data/*/{category}/", "data/2024/voice/x.wav", ("voice", None)),
        ("data/*/{category}/", "other/2024/voice/x.wav", None),
        ("**/{category}/", "a/b/voice/x.wav", ("voice", None)),
        ("**/{category}/", "x.wav", None),
        ("*/{category}_*.wav", "s1/voice_07.wav", ("voice", None)),
        ("*/{category}_*.wav", "s1/voice_07.flac", None),
        ("{category}-{split}/", "voice-val/x.wav", ("voice", "val")),
        ("a.b/{category}/", "a.b/voice/x.wav", ("voice", None)),
        ("a.b/{category}/", "acb/voice/x.wav", None),
        ("{category}/", "line\nbreak/x.wav", ("line-break", None)),
        (r"(?P<category>[a-z]+)_\d+\.wav$", "s/voice_12.wav", ("voice", None)),
        (r"(?P<category>[a-z]+)_\d+\.wav$", "s/voice.wav", None),
        (r"^(?:(?P<split>val)/)?(?P<category>\w+)/", "val/voice/x.wav", ("voice", "val")),
        (r"^(?:(?P<split>val)/)?(?P<category>\w+)/", "voice/x.wav", ("voice", None)),
    ],
)
def test_a_path_tells_where_a_file_belongs(
    pattern: str | None, path: str, place: tuple[str, str | None] | None
) -> None:
    assert Placing(Rules(category_from=pattern)).place(path) == (place and Place(*place))


def test_one_category_is_that_of_all_files() -> None:
    assert Placing(Rules(category="speech")).place("x.wav") == Place("speech", None)
    both = Placing(Rules(category="speech", category_from="{split}/"))
    assert [both.place("val/x.wav"), both.place("x.wav")] == [Place("speech", "val"), Place("speech", None)]


def test_names_that_were_made_are_said_once() -> None:
    placing = Placing(Rules(category_from="{split}/{category}/"))
    for split, folder in [
        ("Val", "Calls 1"),
        ("val", "Calls 1"),
        ("Val", "calls-1"),
        ("x", "Caf\u00e9"),
        ("x", "Cafe\u0301"),
    ]:
        placing.place(f"{split}/{folder}/x.wav")
    assert placing.sentences() == [
        "'Café', written in 2 forms of Unicode, is one category, cafe",
        "'Calls 1' and 'calls-1' are one category, calls-1",
        "'Val' and 'val' are one split, val",
    ]
    placing = Placing(Rules())
    placing.place("Calls/x.wav")
    placing.place("voice/x.wav")
    assert placing.sentences() == ["'Calls' is category calls"]


@pytest.mark.parametrize(
    ("rules", "part"),
    [
        (Rules(category="Conference calls"), "the nearest accepted name is conference-calls"),
        (Rules(category=""), "is not 1 to 64 of"),
        (Rules(category_from=""), "is empty; accepted is a pattern"),
        (Rules(category_from="{speaker}/{category}/"), "{speaker} is not known"),
        (Rules(category_from="{category}/{category}/"), "{category} comes twice"),
        (Rules(category_from="voice/*/"), "names no category"),
        (Rules(category_from="{split}/"), "names no category"),
        (Rules(category_from="(?P<category>["), "is no regular expression"),
        (Rules(category="voice", category_from="*/"), "names no category"),
        (Rules(category_from="{split}/{category}/", splits=(("val", 0.1),)), "exclude each other"),
    ],
)
def test_rules_that_are_not_accepted_are_refused(rules: Rules, part: str) -> None:
    with pytest.raises(ScanError) as refused:
        Placing(rules)
    assert part in str(refused.value)
