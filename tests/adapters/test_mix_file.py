"""Files of mixes: JSON and YAML that anybody may have written are read as meant, or refused with a sentence."""

import json
import math
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.adapters.mix_file import read_mix
from worker.adapters.yaml_text import read_yaml
from worker.core.adjust.mixes import phases_of
from worker.core.weights.values import MAX_BYTES
from worker.errors import WeightsError

letters = st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])  # JSON writes others as two, which YAML keeps
WORDS = st.sampled_from(
    ("mix", "weight", "weights", "input_cfg", "splits", "train", "blend", "phases", "until", "name")
)
texts = st.text(letters, max_size=8)
values = texts.filter(lambda one: re.match(r"[-+]?[\d._]*[eE]", one) is None)  # PyYAML quotes no `1e3`, a number here
documents = st.dictionaries(texts, st.floats(0, 1e300) | st.lists(values, max_size=3))


def read(folder: Path, text: str | bytes, name: str = "mix.yaml") -> Any:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_mix(file)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mix.json", '{"voice": 0.7}'),
        ("mix.JSON", ' [{"a": 1}]'),
        ("mix", '\n{"voice": 0.7}'),
        ("mix.txt", "voice: 0.7"),
        ("mix.yml", "voice: 0.7 # more speech"),
        ("mix.yaml", "\ufeffvoice: 0.7"),
    ],
)
def test_the_name_or_the_looks_say_what_it_is(tmp_path: Path, name: str, text: str) -> None:
    assert read(tmp_path, text, name) in ({"voice": 0.7}, [{"a": 1}])


def test_names_in_yaml_are_texts_and_numbers_with_powers_are_numbers(tmp_path: Path) -> None:
    text = "no: 0.25\non: 1e-3\n12: 1.5E+2\n2024-01-01: .5\ntrue: 1\n~: 3\n"
    assert read(tmp_path, text) == {"no": 0.25, "on": 0.001, "12": 150.0, "2024-01-01": 0.5, "true": 1, "~": 3}


def test_what_json_has_no_word_for_is_a_text_in_yaml(tmp_path: Path) -> None:
    texts = ["2024-01-01", "2024-99-99", "1:30", "1:59:59.5", "0x1f", "0b1", "010", "1e3.tar", "=", "<<"]
    assert read(tmp_path, "".join(f"- {text}\n" for text in texts)) == texts
    assert read(tmp_path, f"- 1{':59' * 300_000}") == [f"1{':59' * 300_000}"]


def test_decimal_numbers_of_yaml_are_numbers(tmp_path: Path) -> None:
    text = "[0, -3, 1_000, .5, 1., 1.5e+3, 1e-3, -.inf, yes, ~]"
    assert read(tmp_path, text) == [0, -3, 1000, 0.5, 1.0, 1500.0, 0.001, -math.inf, True, None]


BOMB = "a: &a [x, x]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(9))


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("mix.json", "", "mix.json is not JSON"),
        ("mix.json", "voice: 1", "accepted: JSON, or YAML in a file .yaml"),
        ("mix.json", '{"voice": 1, "voice": 2}', "'voice' is given twice; accepted: each name once"),
        ("mix.json", '{"voice": NaN}', "a number is NaN; accepted: finite numbers"),
        ("mix.json", "[" * 200_000, "nested deeper than 32 levels"),
        ("mix.json", "[" * 40 + "]" * 40, "nested deeper than 32 levels"),
        ("mix.json", '{"source": "\\ud800"}', "'\\ud800' holds half a character"),
        ("mix.yaml", '{"\\ud800": 1}', "'\\ud800' holds half a character"),
        ("mix.json", f'{{"voice": {"9" * 5000}}}', "mix.json is not JSON"),
        ("mix.json", b'{"\xff": 1}', "mix.json is not UTF-8 (invalid start byte at byte 2); accepted: UTF-8"),
        ("mix.json", " " * (MAX_BYTES + 1), "mix.json has more than 1,048,576 bytes; accepted: at most that"),
        ("mix.yaml", "voice: 1\nvoice: 2", "'voice' is given twice"),
        ("mix.yaml", "a: [1", "mix.yaml is not YAML (expected ',' or ']', but got '<stream end>', line 1)"),
        ("mix.yaml", "a: 1\n---\na: 2", "accepted: one document of YAML, or JSON"),
        ("mix.yaml", BOMB, "an alias (*name) is not accepted"),
        ("mix.yaml", "a: &x {b: 1}\nc:\n  <<: *x", "an alias (*name) is not accepted"),
        (
            "mix.yaml",
            "a: !!python/object/apply:os.system ['exit 1']",
            "a tag ('tag:yaml.org,2002:python/object/apply:os",
        ),
        ("mix.yaml", "a: ! 1", "a tag ('!') is not accepted; accepted: YAML without tags"),
        ("mix.yaml", "? [a, b]\n: 1", "a name is a list or an object; accepted: names that are texts"),
        ("mix.yaml", "[" * 40 + "]" * 40, "nested deeper than 32 levels"),
        ("mix.yaml", "[" * 200_000, "nested deeper than 32 levels"),
        ("mix.yaml", f"voice: {'9' * 5000}", "mix.yaml is not YAML (Exceeds the limit"),
        (
            "mix.yaml",
            "voice: \x00",
            "mix.yaml is not YAML (unacceptable character #x0000: special characters are not allowed",
        ),
    ],
)
def test_what_is_not_accepted_is_refused_with_a_sentence(
    tmp_path: Path, name: str, text: str | bytes, sentence: str
) -> None:
    with pytest.raises(WeightsError) as refusal:
        read(tmp_path, text, name)
    assert sentence in str(refusal.value)
    assert "accepted: " in str(refusal.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"mix\.json cannot be read: No such file or directory"):
        read_mix(tmp_path / "mix.json")
    with pytest.raises(WeightsError, match="cannot be read: Is a directory"):
        read_mix(tmp_path)


@given(documents)
def test_what_pyyaml_and_json_write_is_read_again(document: Any) -> None:
    assert read_yaml("mix", yaml.safe_dump(document)) == document
    assert read_yaml("mix", json.dumps(document)) == document


TAGS = ("binary", "timestamp", "int", "float", "bool", "null", "str", "map", "seq", "set", "omap", "pairs", "merge")
TAGGED = ("x", "''", "[a]", "{a: 1}", "[[a, b]]", "", "-", "2024-01-01")


@pytest.mark.parametrize("tag", [*(f"!!{name}" for name in TAGS), "!", "!own", "!<tag:own>", "!!python/name:os.system"])
@pytest.mark.parametrize("layout", ["{}", "a: {}", "[{}]", "? {}\n: 1"])
def test_no_tag_is_accepted_wherever_it_stands(tag: str, layout: str) -> None:
    for value in TAGGED:
        with pytest.raises(WeightsError):
            read_yaml("mix", layout.format(f"{tag} {value}"))


nested = st.recursive(
    st.sampled_from((1, 0.5, "a", "", None, True, "2024-01-01", 10**400)) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS | texts, inner, max_size=3),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(nested, st.integers(0, 40), st.sampled_from(("[{}]", '{{"mix": {{"a": {}}}}}', '{{"input_cfg": [{}]}}')))
def test_any_document_is_a_mix_or_refused(tmp_path_factory: Any, document: Any, depth: int, around: str) -> None:
    text = json.dumps(document)
    for _ in range(depth):
        text = around.format(text)
    for name in ("mix.json", "mix.yaml"):
        with suppress(WeightsError):
            sources = phases_of(read(tmp_path_factory.getbasetemp(), text, name))[0].sources
            assert sources


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.sampled_from("abc01:-[]{}&*!?|>%@`'\"#,. \n\t<~=e"), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(WeightsError):
        read_yaml("mix", text)
