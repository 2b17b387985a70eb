"""What the verb `feedback` does."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Final, get_args

from worker.adapters.redis.feedback import count_reports, newest_reports
from worker.adapters.redis.weights import RedisWeights
from worker.cli.context import check_dataset, open_redis
from worker.cli.letters import fields_text, message_text, value_text
from worker.cli.printing import print_json, print_table, print_text
from worker.cli.words import ago_text, counted, listed
from worker.core.adjust.reports import LossReports, gather
from worker.core.wire.feedback import FIELDS_OF_REFUSED, Kind, Report, read_report
from worker.core.wording import did_you_mean
from worker.errors import SettingsError

_COUNT, _DEAD_COUNT = 1000, 20
_NOBODY: Final = "(not said)"
_TRAIN: Final[Kind] = "train"

Entries = Sequence[tuple[str, list[bytes]]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The words of the verb.

    Attributes:
        dataset: Reports that name this dataset alone; None: all.
        kind: Which kind of losses; None: those of the training.
        count: At most this many of the newest reports; None: the default.
        dead: Whether refused reports are wanted instead.
        as_json: Whether to print JSON.
    """

    dataset: str | None
    kind: str | None
    count: int | None
    dead: bool
    as_json: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """What Redis holds: the newest reports as they are, how many there are, and how many refused ones; its time."""

    now_ms: int
    entries: Entries
    reports: int
    refused: int


def show_feedback(wanted: Wanted) -> None:
    """Print the newest reports of losses, added up, or those that were refused.

    Raises:
        SettingsError: A word is not accepted.
    """
    check_dataset(wanted.dataset)
    if wanted.dead and (wanted.dataset, wanted.kind) != (None, None):
        given = "--kind" if wanted.dataset is None else "--dataset"
        raise SettingsError(f"{given} is not for --dead, which shows all that was refused; accepted: one of both")
    if wanted.kind not in {None, *get_args(Kind)}:
        raise SettingsError(f"--kind {wanted.kind!a} is not accepted; accepted: {', '.join(get_args(Kind))}")
    found = asyncio.run(_find(wanted))
    if wanted.dead:
        _show_refused(found, as_json=wanted.as_json)
    else:
        _show_reports(found, wanted)


async def _find(wanted: Wanted) -> _Found:
    count = wanted.count or (_DEAD_COUNT if wanted.dead else _COUNT)
    async with open_redis() as opened:
        entries = await newest_reports(opened.client, opened.keys, count, dead=wanted.dead)
        reports, refused = await count_reports(opened.client, opened.keys)
        with closing(RedisWeights(opened.client, opened.keys)) as weights:
            now_ms = await weights.now_ms()
        return _Found(now_ms, entries, reports, refused)


def _show_reports(found: _Found, wanted: Wanted) -> None:
    kind = wanted.kind or _TRAIN
    read = [read_report(entry_id, fields) for entry_id, fields in found.entries]
    valid = [report for report in read if isinstance(report, Report)]
    chosen = [one for one in valid if one.kind == kind and wanted.dataset in {None, one.dataset}]
    losses = gather((replace(one, dataset=None) for one in chosen), kinds=(chosen[0].kind,) if chosen else ())
    document = {
        "reports": found.reports,
        "refused": found.refused,
        "newest": len(read),
        "used": losses.used,
        "invalid": len(read) - len(valid),
        "categories": _categories(losses),
        "reporters": _reporters(chosen),
        "outvoted": {who: list(which) for who, which in losses.outvoted.items()},
    }
    if wanted.as_json:
        print_json(document)
    else:
        _print_reports(document, kind, found.now_ms)
        if not chosen and wanted.dataset is not None:
            near = did_you_mean(wanted.dataset, list({one.dataset for one in valid if one.dataset}))
            print_text(f"none names dataset {wanted.dataset}{near}", "waits")


def _categories(losses: LossReports) -> dict[str, dict[str, Any]]:
    """Lay out what is known of each category as plain data."""
    columns = (losses.means, losses.errors, losses.counts, losses.report_counts, losses.reporter_counts)
    rows = zip(losses.categories, *(column.tolist() for column in columns), strict=True)
    return {
        name: {"mean": mean, "error": error, "count": int(count), "reports": reports, "reporters": reporters}
        for name, mean, error, count, reports, reporters in rows
    }


def _reporters(reports: Sequence[Report]) -> dict[str, dict[str, Any]]:
    """Return how often each reporter has reported, and what it said last; those that reported last come first."""
    found: dict[str, dict[str, Any]] = {}
    for report in reports:
        newest = {"reports": 0, "at_ms": report.at_ms, "step": report.step, "weights_version": report.weights_version}
        found.setdefault(report.who, newest)["reports"] += 1
    return found


def _print_reports(document: dict[str, Any], kind: str, now_ms: int) -> None:
    rows = [
        (name, one["mean"], one["error"], one["count"], one["reports"], one["reporters"])
        for name, one in document["categories"].items()
    ]
    if rows:
        title = f"{kind} losses of {counted(document['used'], 'report')}, of {document['reports']:,} in all"
        print_table(title, ("category", "mean", "error", "losses", "reports", "reporters"), rows)
        whose = [
            (
                who or _NOBODY,
                one["reports"],
                ago_text(one["at_ms"], now_ms),
                *(one[it] or "" for it in ("step", "weights_version")),
            )
            for who, one in document["reporters"].items()
        ]
        print_table("", ("reporter", "reports", "last", "step", "weights"), whose)
    else:
        print_text(f"no report of {kind} losses" if document["reports"] else "no report")
    for who, which in document["outvoted"].items():
        print_text(f"{who or _NOBODY} is outvoted on {listed(which)}: nobody else has seen such losses", "wrong")
    if document["invalid"]:
        print_text(f"{counted(document['invalid'], 'report')} will be refused once a rule reads them", "waits")
    if document["refused"]:
        print_text(f"{counted(document['refused'], 'report')} refused: sampling-worker feedback --dead", "wrong")


def _show_refused(found: _Found, *, as_json: bool) -> None:
    letters = [(entry_id, _texts(fields)) for entry_id, fields in found.entries]
    if as_json:
        print_json([{"id": entry_id, "fields": dict(pairs)} for entry_id, pairs in letters])
        return
    for entry_id, pairs in letters:
        _print_refused(entry_id, dict(pairs), found.now_ms)
    print_text(f"{counted(found.refused, 'report')} refused" if found.refused else "no report was refused")


def _print_refused(entry_id: str, fields: dict[str, str], now_ms: int) -> None:
    """Print a refused report as a block: when and why it was refused, then what it was."""
    entry, error, message = (fields.pop(name, "") for name in FIELDS_OF_REFUSED)
    age = ago_text(int(entry_id.partition("-")[0]), now_ms)
    print_text(f"{value_text(entry) or entry_id}  {age}  {value_text(error) or 'unreadable: of no worker'}", "wrong")
    if message:
        print_text(f"  why:     {message_text(message)}")
    print_text(f"  report:  {fields_text(list(fields.items()))}")


def _texts(fields: Sequence[bytes]) -> list[tuple[str, str]]:
    words = [word.decode(errors="replace") for word in fields]
    return list(zip(words[0::2], words[1::2], strict=True))
