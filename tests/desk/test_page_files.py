"""The files of the page keep the laws that browsers and readers need: nothing inline, nothing from elsewhere, small."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "worker" / "desk" / "page"
FILES = {path.name: path.read_text(encoding="utf-8") for path in PAGE.iterdir()}
SCRIPTS = sorted(name for name in FILES if name.endswith(".js"))
LONGEST_FILE, LONGEST_LINE = 250, 120
_EXPORTED = re.compile(r"(?m)(^.*)\n^export (?:async )?(?:function\*?|class|const) (\w+)")
_IMPORTED = re.compile(r'(?m)^import \{([^}]+)\} from "\./([a-z_]+\.js)";')


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".html")])
def test_no_page_holds_scripts_or_styles_or_names_other_hosts(name: str) -> None:
    text = FILES[name]
    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son[a-z]+=|javascript:|https?://", text)


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_small_and_need_no_policy_to_be_loosened(name: str) -> None:
    lines = FILES[name].splitlines()
    assert len(lines) <= LONGEST_FILE
    assert max(map(len, lines)) <= LONGEST_LINE
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", FILES[name])
    assert lines[0].startswith(("// ", "/**")), "a script opens with what it is about"


@pytest.mark.parametrize("name", SCRIPTS)
def test_all_that_a_script_exports_is_described_and_used(name: str) -> None:
    for above, exported in _EXPORTED.findall(FILES[name]):
        assert above.rstrip().endswith("*/"), exported
        others = "".join(text for other, text in FILES.items() if other != name)
        assert re.search(rf"\b{exported}\b", others), exported


@pytest.mark.parametrize("name", SCRIPTS)
def test_imports_name_what_is_there_and_is_used(name: str) -> None:
    for names, other in _IMPORTED.findall(FILES[name]):
        for imported in (one.strip() for one in names.split(",")):
            if imported:
                exported, _, own = imported.partition(" as ")
                assert re.search(rf"(?m)^export .*\b{exported}\b", FILES[other]), imported
                assert len(re.findall(rf"\b{own or exported}\b", FILES[name])) > 1, imported


def test_every_file_is_asked_for() -> None:
    texts = "".join(FILES.values())
    assert [name for name in FILES if name not in {"index.html", "login.html"} and name not in texts] == []


def test_styles_and_pictures_name_no_other_host() -> None:
    for name, text in FILES.items():
        if name.endswith((".css", ".svg")):
            assert not re.findall(r"https?://(?!www\.w3\.org/)", text), name
