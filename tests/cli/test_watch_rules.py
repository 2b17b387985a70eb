"""`watch` shows the rule that moves the weights: what it is, what comes next and why, and its shadow's shares."""

from typing import Any

import pytest

from tests.cli.test_watch import AT_MS, NO_POINTS, count, due, row, rule, texts, view
from worker.cli.printing import text_width
from worker.cli.watch.news import News
from worker.cli.watch.picture import Size, draw
from worker.cli.watch.rules import next_text, rule_lines

ALL = {"weight", "shadow", "drawn", "z", "READY", "heard/h"}


def shadowed(**shares: float) -> list[dict[str, Any]]:
    rows = (row("voice", 0.7, 0.71, 0.4), row("music", 0.3, 0.29))
    return [{**one, "shadow": shares[one["name"]]} for one in rows]


def lines(**told: Any) -> list[str]:
    return [text for text, _ in rule_lines(view(rule=rule(**told)))]


def test_a_rule_is_written_in_one_or_two_lines() -> None:
    assert rule_lines(view()) == []
    title = "rule cooldown (shadow)"
    assert lines() == [f"{title}  next at 120,000 chunks heard", "  step 1,200, 3 min ago: temperature 4.2"]
    assert lines(mode="on", held_by=["floor: a", "most change 0.05"], evidence="") == [
        "rule cooldown (on)  next at 120,000 chunks heard",
        "  step 1,200, 3 min ago: held by floor: a; most change 0.05",
    ]
    assert lines(stepped_ms=None)[1] == "  no step made"
    assert lines(evidence="")[1] == "  step 1,200, 3 min ago"
    assert lines(status="paused", paused="bob changed the weights", steps=1) == [
        f"{title}  paused after 1 step",
        "  bob changed the weights; adjust resume lets it go on",
    ]
    assert lines(status="frozen", mode="off") == [
        "rule cooldown (frozen)  after 1,200 steps; adjust resume lets it go on"
    ]
    assert lines(status="not begun") == [f"{title}  not begun: workers begin it within seconds"]
    assert lines(status="refused", name=None, problem="no JSON") == ["the rule is refused: no JSON"]
    [first, _] = rule_lines(view(dataset="news", rule=rule()))
    assert first[0].startswith("rule cooldown of the global weights (shadow)  ")


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (due(at_ms=AT_MS + 25_000), "next in 25 s"),
        (due(at_ms=AT_MS - 25_000), "next once a share would change"),
        (due(), "next once a share would change"),
        (due(count(1000.0, "requests"), at_ms=AT_MS + 25_000), "next in 25 s or at 1,000 requests heard"),
        (
            due(count(7.2e6, "ms", heard=5_400_000), at_ms=AT_MS - 25_000),
            "next at 2:00:00 of audio heard (1:30:00 so far)",
        ),
        (due(count(99.5, heard=12)), "next at 100 chunks heard (12 so far)"),
        (
            due(count(8.0, category="a"), count(9.0, category="b"), left_out=1),
            "next at 8 chunks of a heard or at 9 chunks of b heard or at one of 1 further count",
        ),
    ],
)
def test_the_next_step_is_at_a_time_or_at_a_count(told: dict[str, Any], says: str) -> None:
    assert next_text(told, AT_MS) == says


@pytest.mark.parametrize(
    ("columns", "headings"),
    [
        (40, ["weight", "shadow", "drawn"]),
        (60, ["weight", "shadow", "drawn", "z"]),
        (80, ["weight", "shadow", "drawn", "z", "READY"]),
        (120, ["weight", "shadow", "drawn", "z", "READY", "heard/h"]),
    ],
)
def test_the_shadow_s_shares_are_a_column(columns: int, headings: list[str]) -> None:
    shown = view(categories=shadowed(voice=0.62, music=0.38), rule=rule())
    drawn = texts(draw(shown, NO_POINTS, Size(columns, None)))
    [title] = [line for line in drawn if line.startswith("category")]
    [voice] = [line for line in drawn if line.startswith("voice")]
    assert [word for word in title.split() if word in ALL] == headings
    assert voice.split()[1:4] == ["70.0%", "62.0%", "71.0%"]
    assert title.index("shadow") + len("shadow") == voice.index("62.0%") + len("62.0%")
    assert max(map(text_width, drawn)) <= columns
    assert "shadow" not in "".join(texts(draw(view(), NO_POINTS, Size(columns, None))))


def test_a_rule_that_waits_or_is_unreadable_is_coloured() -> None:
    states = {"paused": "waits", "not begun": "waits", "running": None, "frozen": "dim", "refused": "wrong"}
    assert {status: rule_lines(view(rule=rule(status=status)))[0][1] for status in states} == states


def told(news: News, **more: Any) -> list[str]:
    return [text.partition("  ")[2] for text, _ in news.of(view(**more))]


def test_a_pipe_is_told_what_is_new_of_a_rule() -> None:
    news = News()
    told(news, categories=shadowed(voice=0.7, music=0.3))
    first = told(news, rule=rule(), categories=shadowed(voice=0.7, music=0.3))
    assert first == ["rule cooldown (shadow)  next at 120,000 chunks heard  step 1,200, 3 min ago: temperature 4.2"]
    assert told(news, rule=rule(steps=1201), categories=shadowed(voice=0.7, music=0.3)) == []
    moved = {"rule": rule(steps=1202, held_by=["floor: a"]), "categories": shadowed(voice=0.6, music=0.4)}
    [would] = told(news, **moved)
    assert would.startswith("rule cooldown (shadow) would set voice 60.0%  music 40.0%  step 1,202, 3 min ago: ")
    assert would.endswith(": temperature 4.2  held by floor: a")
    same = {"categories": moved["categories"]}
    assert told(news, **same, rule=rule(mode="on", status="paused", paused="bob changed them")) == [
        "rule cooldown (on)  paused after 1,200 steps  bob changed them; adjust resume lets it go on"
    ]
    assert told(news, **same) == ["no rule moves the weights any more"]
    assert told(news, **same) == []


def test_what_strangers_wrote_of_a_rule_controls_no_terminal() -> None:
    evil = "\x1b[2J\r\n\u202e"
    for status in ("running", "paused", "refused"):
        shown = view(rule=rule(status=status, evidence=evil, held_by=[evil], paused=evil, problem=evil))
        assert "".join(texts(draw(shown, NO_POINTS, Size(80, 24)))).isprintable()
