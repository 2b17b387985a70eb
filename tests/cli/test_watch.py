"""The picture of `watch` fits any terminal, shows what matters, and never controls the terminal."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from worker.cli.printing import text_width
from worker.cli.watch.news import News
from worker.cli.watch.picture import Line, Size, draw
from worker.live.document import empty_document

AT_MS = 1_700_000_000_000
NO_POINTS: Mapping[str, Any] = {"step_s": 5.0, "points": []}


@pytest.fixture(autouse=True)
def _utc() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def row(name: str, share: float, drawn: float | None = None, z: float = 0.0, **more: Any) -> dict[str, Any]:
    told = {"share": drawn, "expected_share": share, "z": z, "is_enough": drawn is not None and share > 0.1}
    return {
        "name": name,
        "share": share,
        "shadow": None,
        "ready": 1200,
        "repeats_per_hour": 3.25,
        "drawn": None if drawn is None else told,
        **more,
    }


def worker(name: str, **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "requests_per_s": 120.0,
        "latency_p50_ms": 2.0,
        "latency_p99_ms": 8.5,
        "latency_max_ms": 30.0,
    }
    told |= {"loop_lag_ms": 1.5, "memory_bytes": 90 << 20, "state": "serving", "version": "old", "has_applied": True}
    return {"name": name, "problem": "", **told, **more}


def mark(at_ms: int, who: str = "ann") -> dict[str, Any]:
    return {"at_ms": at_ms, "who": who, "reason": "louder", "points": {"voice": 10.0, "music": -10.0}}


def event(at_ms: int, text: str = "away", level: str = "warning") -> dict[str, Any]:
    return {"at_ms": at_ms, "worker": "w-1", "level": level, "event": "redis.lost", "text": text}


def count(at: float, unit: str = "chunks", category: str | None = None, heard: int | None = None) -> dict[str, Any]:
    return {"unit": unit, "category": category, "at": at, "heard": heard}


def due(*counts: dict[str, Any], at_ms: int | None = None, left_out: int = 0) -> dict[str, Any]:
    return {"at_ms": at_ms, "counts": list(counts), "counts_left_out": left_out}


def rule(**more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"dataset": None, "name": "cooldown", "mode": "shadow", "status": "running", "paused": ""}
    told |= {"problem": "", "steps": 1200, "stepped_ms": AT_MS - 180_000, "evidence": "temperature 4.2"}
    told |= {"next": due(count(120_000.0)), "held_by": [], "who": "ann", "set_ms": 5}
    return {**told, **more}


def view(**more: Any) -> dict[str, Any]:
    setter = {"who": "ann", "reason": "louder", "at_ms": AT_MS - 180_000, "entry": "1-1"}
    weights = {"version": "abc", "stored_version": "abc", "source": "redis", "problem": None}
    return {
        **empty_document("audio", None),
        "redis": {"ok": True, "problem": "", "since_ms": None},
        "at_ms": AT_MS,
        "weights": {**weights, "set_by": setter, "until_ms": None, "then": None},
        "categories": [row("voice", 0.7, 0.71, 0.4), row("music", 0.3, 0.29, -6.2), row("noise", 0.0, 0.0)],
        "applied": {"workers": 2, "of": 2, "missing": [], "took_ms": 4},
        "workers": [worker("w-1"), worker("w-2")],
        "fit": {"p": 0.25, "chunks": 4000, "is_enough": True},
        "window_s": 60.0,
        "marks": [mark(AT_MS - 60_000)],
        "events": [event(AT_MS - 30_000)],
        **more,
    }


def points(count: int) -> dict[str, Any]:
    told = [{"at_ms": AT_MS - 5000 * (count - i), "requests_per_s": float(i)} for i in range(count)]
    return {"step_s": 5.0, "points": told}


def texts(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("lines", [5, 16, 24, 60])
def test_the_picture_has_room(columns: int, lines: int) -> None:
    many = [row(f"category-of-a-long-name-{number}", 1 / 64, 1 / 64) for number in range(64)]
    busy = view(categories=many, events=[event(AT_MS)] * 50, marks=[mark(AT_MS)] * 50, workers=[worker("w")] * 20)
    shadowed = view(categories=[{**one, "shadow": 1 / 64} for one in many], rule=rule())
    for shown in (view(), busy, shadowed):
        drawn = texts(draw(shown, points(180), Size(columns, lines)))
        assert len(drawn) <= lines
        assert max(map(text_width, drawn)) <= columns


def test_the_picture_says_what_matters() -> None:
    drawn = draw(view(), points(20), Size(80, None))
    shown = "\n".join(texts(drawn))
    assert "audio  global weights  abc  set by ann 3 min ago (louder)" in shown
    assert "applied by 2 of 2 workers in 4 ms" in shown
    assert "4,000 chunks in the last 1 min fit with p = 0.2500" in shown
    assert "22:12:20 ann: voice +10, music -10 (louder)" in shown
    assert "w-1  serving  120/s  p50 2  p99 8.5  max 30 ms  loop 1.5 ms  90 MiB" in shown
    assert "22:12:50 w-1  redis.lost  away" in shown
    [requests] = [line for line in texts(drawn) if line.startswith("requests ")]
    [changes] = [line for line in texts(drawn) if line.startswith("changes ")]
    assert requests.index("█") > requests.index("▁")
    assert changes.index("┃") == 9 + 8
    states = {text.strip(): state for line in drawn for text, state in line}
    assert (states["+0.4"], states["-6.2"], states["·"]) == ("fits", "wrong", None)


def test_a_bar_is_the_share_with_a_mark_where_it_is_expected() -> None:
    [_, *drawn] = texts(draw(view(), NO_POINTS, Size(80, None)))[3:7]
    bars = [line[line.index("%", line.index("%") + 1) + 2 :] for line in drawn]
    assert [bar.count("█") for bar in bars] == sorted((bar.count("█") for bar in bars), reverse=True)
    assert [bar.count("│") for bar in bars] == [1, 1, 1]
    plain = "".join(texts(draw(view(), points(9), Size(80, None, is_plain=True)))).replace("·", "")
    assert plain.isascii()


def test_what_is_wrong_is_said() -> None:
    lost = {"ok": False, "problem": "refused", "since_ms": AT_MS - 5000}
    other = view(
        dataset="news",
        redis=lost,
        problems=["counts could not be read: NOPERM"],
        empty=["jazz"],
        workers=[worker("w-1", has_applied=False), worker("w-2", problem="no JSON")],
        applied={"workers": 0, "of": 1, "missing": ["w-1"], "took_ms": None},
        fit={"p": 0.5, "chunks": 7, "is_enough": False},
        categories_left_out=9000,
    )
    other["weights"] |= {"problem": "the value is not JSON", "until_ms": AT_MS + 60_000, "set_by": None}
    other["weights"] |= {"then": {"version": "old", "shares": {}}}
    shown = "\n".join(texts(draw(other, NO_POINTS, Size(100, None))))
    for said in (
        "Redis does not answer since 22:13:15",
        "dataset news (the global ones)  abc  by somebody who is not in the history",
        "applied by 0 of 1 worker, not by w-1  for 1 min more, then old",
        "the key holds a value that is refused: the value is not JSON",
        "counts could not be read: NOPERM",
        "weighted, but without READY chunks: jazz",
        "7 chunks in the last 1 min: too few to judge; 9,000 more categories",
        "under old",
        "w-2  unreadable: no JSON",
    ):
        assert said in shown
    nothing = view(applied={"workers": 0, "of": 0, "missing": [], "took_ms": None}, workers=[], categories=[])
    nothing |= {"fit": {"p": None, "chunks": 0, "is_enough": False}, "marks": [], "events": []}
    assert texts(draw(nothing, NO_POINTS, Size(80, None)))[1:] == [
        "no worker runs",
        "- requests/s  - chunks/s  - errors/s  lag -  pending -",
        "nothing was drawn in the last 1 min",
    ]


def test_what_strangers_wrote_controls_no_terminal() -> None:
    evil = "\x1b[2J\r\n\u202e"
    other = view(
        categories=[row(evil, 1.0, 1.0)],
        workers=[worker(evil), worker("w", problem=evil)],
        marks=[{**mark(10**30), "who": evil, "reason": evil, "points": {evil: 1.0}}],
        events=[event(10**18, evil)],
        problems=[evil],
    )
    shown = "".join(texts(draw(other, points(3), Size(120, 30))))
    assert shown.isprintable()
    assert "--:--:-- \\x1b[2J" in shown


def test_only_what_is_new_is_told() -> None:
    news = News()
    first = news.of(view())
    assert [text for text, _ in first] == [
        "22:13:20  weights abc  voice 70.0%  music 30.0%  set by ann 3 min ago (louder)",
        "22:13:20  applied by 2 of 2 workers in 4 ms",
        "22:13:20  worker w-1  serving  120/s  p50 2  p99 8.5  max 30 ms  loop 1.5 ms  90 MiB",
        "22:13:20  worker w-2  serving  120/s  p50 2  p99 8.5  max 30 ms  loop 1.5 ms  90 MiB",
        "22:13:20  music: 29.0% drawn, 30.0% expected, z = -6.2",
    ]
    assert news.of(view()) == []
    lost = view(redis={"ok": False, "problem": "refused", "since_ms": 1})
    assert news.of(lost) == [("22:13:20  Redis does not answer: refused", "wrong")]
    assert news.of(lost) == []
    back = view(
        workers=[worker("w-1", state="draining")],
        events=[event(AT_MS, "later"), event(AT_MS - 30_000)],
        categories=[row("voice", 0.7, 0.7), row("music", 0.3, 0.3)],
        problems=["doubtful"],
    )
    back["weights"]["problem"] = "refused"
    told = [text.removeprefix("22:13:20  ") for text, _ in news.of(back)]
    assert told[:2] == ["Redis answers again", "the key holds a value that is refused: refused"]
    assert told[2].startswith("worker w-1  draining")
    assert told[3:] == [
        "worker w-2 is gone",
        "music: its share fits again, z = +0.0",
        "doubtful",
        "22:13:20 w-1  redis.lost  later",
    ]


def test_a_dataset_without_weights_of_its_own_is_held_against_those_that_there_are() -> None:
    other = view(dataset="podcast", datasets=["podcast", "podcasts"])
    other["weights"] |= {"source": "redis"}
    shown = "\n".join(texts(draw(other, NO_POINTS, Size(140, None))))
    assert "dataset podcast (the global ones; did you mean podcasts?)" in shown
    other["weights"] |= {"source": "dataset"}
    assert "did you mean" not in "\n".join(texts(draw(other, NO_POINTS, Size(140, None))))
