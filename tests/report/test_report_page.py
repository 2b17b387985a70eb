"""The report as a page: tables that are tables, nothing from elsewhere, and nobody's text run as code."""

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.report.test_report import LOG, texts, write
from tests.report.test_report_parts import A, B, category_stats, weights_changed, worker_stats, written
from worker.cli.commands import execute

CHROMIUM = "/usr/bin/chromium"
WICKED = '<script>document.title="broken"</script><img src=//example.org/x onerror=alert(1)>'
STRANGE = "bell\x07 turned\u202e half\ud800"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Tags(HTMLParser):
    """A parser that collects the tags of a page with their attributes, and the cells of its tables."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in {"td", "th"}:
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells and self.tags[-1][0] in {"td", "th"}:
            self.cells[-1] = f"{self.cells[-1]}{data}".strip()


def wicked_log() -> list[bytes]:
    change = json.loads(written(14, weights_changed(B, version="b", before=A)))
    told = {**change, "who": WICKED, "reason": f"\"{WICKED}' {STRANGE}", "entry": WICKED}
    return [
        *(line for line in LOG if b"weights.changed" not in line),
        json.dumps(told).encode() + b"\n",
        written(30, worker_stats(), WICKED),
        written(30, category_stats(WICKED, 5, 5.0, None, dataset=f"d{WICKED}"), WICKED),
        written(30, category_stats(STRANGE, 5, 5.0, None)),
    ]


def test_a_page_holds_the_picture_and_the_summary_as_tables() -> None:
    assert execute(["report", write("w.log", LOG), "--output", "mix.html"]) == 0
    page = Tags(Path("mix.html").read_text())
    tags = [tag for tag, _ in page.tags]
    assert (tags.count("svg"), tags.count("table"), tags.count("script")) == (1, 4, 0)
    for cell in (
        "voice",
        "890",
        "59.33%",
        "music 30→60 %, voice 70→40 %",
        "1 of 1 worker",
        "stopped",
        "worker.started",
    ):
        assert cell in page.cells
    text = Path("mix.html").read_text()
    assert "prefers-color-scheme: dark" in text
    assert "150 requests, 2 of them errors" in text
    assert 'http-equiv="refresh"' not in text


def test_a_page_runs_nobodys_text_and_asks_nobody_for_anything() -> None:
    assert execute(["report", write("w.log", wicked_log()), "--output", "mix.html"]) == 0
    text = Path("mix.html").read_text(encoding="utf-8")
    page = Tags(text)
    assert not {tag for tag, _ in page.tags} & {"script", "img", "link", "iframe", "object", "image", "foreignobject"}
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert all(
            (value or "").startswith("#") for name, value in attributes.items() if "href" in name or name == "src"
        )
    assert not re.findall(r"url\((?!#)|@import", text)
    assert "default-src 'none'" in text
    assert text.count("&lt;script&gt;") >= 5
    for escaped in (r"bell\x07", r"turned\u202e", r"half\ud800"):
        assert escaped in text


def test_a_browser_shows_a_page_and_runs_nothing_of_it() -> None:
    assert execute(["report", write("w.log", wicked_log()), "--output", "mix.html"]) == 0
    shown = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", Path("mix.html").absolute().as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    assert "<title>sampling-worker, 2026" in shown
    assert (shown.count("<table"), shown.count("<svg")) == (5, 1)
    assert "<script" not in shown


def test_a_picture_holds_no_character_that_xml_forbids() -> None:
    assert execute(["report", write("w.log", wicked_log()), "--output", "mix.svg"]) == 0
    told = texts("mix.svg")
    assert "bell\\x07 turned" in told
    assert '<script>document.title="broken"</script>' in told
