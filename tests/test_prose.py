"""What people read comes in short sentences: docstrings of the package and of its tests, and the pages."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sources import ROOT

MOST_WORDS = 20
FOLDERS = ("worker", "tests", "deploy")
MODULES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
PAGES = [ROOT / "README.md", *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.md")))]
VAGUE = {"Tell", "Hold", "Say", "Have"}
"""First words of docstrings that do not say what is done: `Return`, `Check` and `Write` do."""


def long_sentences(text: str) -> Iterator[str]:
    """Find sentences of too many words; a list of names in code is one word, and pictures have none."""
    text = re.sub(r"!\[[^\]]*\]|\]\([^)]*\)", "", re.sub(r"`[^`\n]*`", "`", text))
    for block in re.split(r"(?:^|\n)\s*(?:[-*]|\d+\.) |\n\s*\n|\n(?= {4})| \W ", text):
        plain = re.sub(r"(` ?\(?[^`.]{0,20}\)?[,;]\s+)+(?=`)", "", " ".join(block.split()))
        for sentence in re.split(r"[.;:!?]\**\s+", plain):
            if len(sentence.split()) > MOST_WORDS:
                yield sentence


def docstrings(path: Path) -> Iterator[str]:
    """Read all docstrings of a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def test_docstrings_are_short_sentences_and_begin_with_what_is_done() -> None:
    found = [(path, text) for path in MODULES for text in docstrings(path)]
    assert len(found) > len(MODULES)
    too_long = {str(path.relative_to(ROOT)): sentence for path, text in found for sentence in long_sentences(text)}
    assert too_long == {}
    vague = {str(path.relative_to(ROOT)): text for path, text in found if {*text.split()[:1]} & VAGUE}
    assert vague == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_are_short_sentences(page: Path) -> None:
    prose = re.sub(r"(?ms)^ *```.*?^ *```$|<!-- \w+: .*?<!-- end -->|^\|.*?\|$", "", page.read_text(encoding="utf-8"))
    assert list(long_sentences(prose)) == []


def test_a_long_sentence_is_found() -> None:
    long = " ".join(["word"] * (MOST_WORDS + 1))
    assert [*long_sentences(f"Short. {long}. **Short.** {long}\n\n- {long}")] == [long] * 3
    assert [*long_sentences(f"{'`NAME`, ' * 30}`NAME`: what is read. [here]({'a ' * 30}).")] == []
