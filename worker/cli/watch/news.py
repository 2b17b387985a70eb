"""What is new since the last look, in lines, for those who have no terminal."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from worker.cli.printing import State
from worker.cli.watch import words
from worker.cli.watch.rules import rule_news
from worker.cli.words import share_text

Told = tuple[str, State | None]
_WRONG_Z: Final = 5.0


class News:
    """The last view, and what differs from it."""

    def __init__(self) -> None:
        """Begin without a view."""
        self._last: Mapping[str, Any] | None = None
        self._judged: dict[str, State | None] = {}

    def of(self, view: Mapping[str, Any]) -> list[Told]:
        """Return the lines that a view is worth.

        Args:
            view: The view document.
        """
        last, self._last = self._last, view
        at = words.clock(view["at_ms"])
        return [(f"{at}  {text}", state) for text, state in self._news(view, last)]

    def _news(self, view: Mapping[str, Any], last: Mapping[str, Any] | None) -> Iterator[Told]:
        if not view["redis"]["ok"]:
            if last is None or last["redis"]["ok"]:
                yield f"Redis does not answer: {view['redis']['problem']}", "wrong"
            return
        if last is not None and not last["redis"]["ok"]:
            yield "Redis answers again", "fits"
        yield from _weights(view, last)
        yield from rule_news(view, last)
        yield from _workers(view, last)
        yield from self._categories(view)
        yield from (
            (sentence, "waits") for sentence in view["problems"] if not last or sentence not in last["problems"]
        )
        yield from _events(view, last)

    def _categories(self, view: Mapping[str, Any]) -> Iterator[Told]:
        """Yield a line when the share of a category is far from its weights, and when it fits again."""
        for row in view["categories"]:
            score, state = words.verdict(row["drawn"])
            before = self._judged.get(row["name"])
            if state == "wrong" != before:
                drawn = row["drawn"]
                expected = f"{share_text(drawn['share'])} drawn, {share_text(drawn['expected_share'])} expected"
                yield f"{row['name']}: {expected}, z = {score}", "wrong"
            elif before == "wrong" and state == "fits":
                yield f"{row['name']}: its share fits again, z = {score}", "fits"
        self._judged = {row["name"]: words.verdict(row["drawn"])[1] for row in view["categories"]}


def _weights(view: Mapping[str, Any], last: Mapping[str, Any] | None) -> Iterator[Told]:
    weights = view["weights"]
    if last is None or weights["version"] != last["weights"]["version"]:
        shares = "  ".join(f"{row['name']} {share_text(row['share'])}" for row in view["categories"] if row["share"])
        yield f"weights {weights['version']}  {shares}  {words.set_by(view)}", None
    if weights["problem"] and (last is None or weights["problem"] != last["weights"]["problem"]):
        yield f"the key holds a value that is refused: {weights['problem']}", "wrong"
    if last is None or _who_applied(view) != _who_applied(last):
        yield words.applied(view)


def _who_applied(view: Mapping[str, Any]) -> tuple[Any, ...]:
    return view["weights"]["stored_version"], view["applied"]["workers"], tuple(view["applied"]["missing"])


def _workers(view: Mapping[str, Any], last: Mapping[str, Any] | None) -> Iterator[Told]:
    now, before = ({row["name"]: row for row in (one or {"workers": ()})["workers"]} for one in (view, last))
    for name, row in now.items():
        if name not in before or row["state"] != before[name]["state"]:
            text, state = words.worker(row)
            yield f"worker {text}", state
    for name in before.keys() - now.keys():
        yield f"worker {name} is gone", "waits"


def _events(view: Mapping[str, Any], last: Mapping[str, Any] | None) -> Iterator[Told]:
    """Yield the events that came since the last look, the oldest first; none of those before the first look."""
    if last is None:
        return
    known = {(one["worker"], one["at_ms"], one["event"], one["text"]) for one in last["events"]}
    for one in reversed(view["events"]):
        if (one["worker"], one["at_ms"], one["event"], one["text"]) not in known:
            yield words.event(one)
