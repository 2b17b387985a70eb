"""What `catalog quarantine` and `catalog release` do: take chunks out, put them back, and list them."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, Final, NamedTuple

import click

from worker.adapters.postgres.near_paths import near_paths
from worker.adapters.postgres.quarantine import (
    QUARANTINED,
    Outcome,
    Quarantine,
    list_quarantines,
    quarantine_chunks,
    release_chunks,
)
from worker.cli.library import warn_of_query
from worker.cli.library_wait import needed, tell_and_wait
from worker.cli.output import complain
from worker.cli.printing import print_json, print_table, print_text
from worker.cli.words import counted, listed
from worker.settings.environment import user
from worker.settings.servers import read_server_settings

_MOST_NAMED: Final = 10
_COLUMNS: Final = ("id", "path", "from s", "before", "since", "who", "reason", "now")


class _Ended(NamedTuple):
    """Where a call was made, and what became of it: as a document, as text, and whether a chunk was not as expected."""

    database_url: str
    outcome: Outcome
    document: Mapping[str, Sequence[str]]
    text: str
    is_wrong: bool = False


def quarantine(names: Sequence[str], reason: str, who: str | None, wait_s: float | None, *, as_json: bool) -> None:
    """Take chunks out.

    Args:
        names: Their ids and paths; a relative path also stands for the absolute one.
        reason: Why.
        who: Who does it; None: the user.
        wait_s: How long to wait until workers draw none of them; None: not at all.
        as_json: Whether to print JSON.
    """
    settings = read_server_settings(need=needed(wait_s))
    forms = _forms(names)
    outcome = asyncio.run(quarantine_chunks(settings.database_url, forms, reason=reason, who=who or user()))
    warn_of_query(settings)
    if outcome.unchanged:
        complain(f"already {QUARANTINED}: {listed(outcome.unchanged, _MOST_NAMED)}")
    document = {"quarantined": outcome.changed, "already": outcome.unchanged, "unknown": outcome.unknown}
    changed = len(outcome.changed)
    back = f"; `catalog release` puts {'it' if changed == 1 else 'them'} back" if changed else ""
    _end(
        _Ended(settings.database_url, outcome, document, f"{counted(changed, 'chunk')} {QUARANTINED}{back}"),
        wait_s,
        as_json=as_json,
    )


def release(names: Sequence[str], who: str | None, wait_s: float | None, *, as_json: bool) -> None:
    """Put chunks back.

    Args:
        names: As for `quarantine`.
        who: Who does it; None: the user.
        wait_s: As for `quarantine`.
        as_json: Whether to print JSON.
    """
    settings = read_server_settings(need=needed(wait_s))
    outcome = asyncio.run(release_chunks(settings.database_url, _forms(names), who=who or user()))
    warn_of_query(settings)
    if outcome.unchanged:
        complain(f"not in quarantine: {listed(outcome.unchanged, _MOST_NAMED)}")
    document = {"released": outcome.changed, "free": outcome.unchanged, "unknown": outcome.unknown}
    text = f"{counted(len(outcome.changed), 'chunk')} released"
    _end(
        _Ended(settings.database_url, outcome, document, text, is_wrong=bool(outcome.unchanged)),
        wait_s,
        as_json=as_json,
    )


def list_quarantined(*, with_released: bool, as_json: bool) -> None:
    """Print what is taken out.

    Args:
        with_released: Whether to print what was put back, too.
        as_json: Whether to print JSON.
    """
    settings = read_server_settings(need=["database"])
    found = asyncio.run(list_quarantines(settings.database_url, with_released=with_released))
    if as_json:
        print_json([_document(one) for one in found])
        return
    back = [one.id for one in found if one.released_at is None and one.status not in {None, QUARANTINED}]
    if back:
        complain(f"made something else than {QUARANTINED} by others: {listed(back, _MOST_NAMED)}")
    if found:
        out = sum(one.released_at is None for one in found)
        print_table(f"{counted(out, 'chunk')} taken out", _COLUMNS, [_row(one) for one in found])
    else:
        print_text("no chunk is taken out")


def _forms(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return what each name may stand for: itself, and an absolute path."""
    return [(name, os.path.abspath(name)) for name in names]  # noqa: PTH100 - links stay, as in a scan


def _end(ended: _Ended, wait_s: float | None, *, as_json: bool) -> None:
    """Print what was done, and which names are not known; wait for workers if chunks were meant.

    Raises:
        Exit: A name is not known, something else was not as it was taken for, or a worker does not follow.
    """
    outcome = ended.outcome

    def tell(more: Mapping[str, Any]) -> None:
        if as_json:
            print_json({**{name: list(found) for name, found in ended.document.items()}, **more})
        else:
            print_text(ended.text)
        _complain_of(outcome.unknown, ended.database_url)

    tell_and_wait(wait_s if outcome.chunks else None, tell, as_json=as_json)
    if outcome.unknown or ended.is_wrong:
        raise click.exceptions.Exit(1)


def _complain_of(unknown: Sequence[str], database_url: str) -> None:
    """Print which names no chunk has, and which paths are similar."""
    near = asyncio.run(near_paths(database_url, unknown[:_MOST_NAMED])) if unknown else {}
    for name in unknown[:_MOST_NAMED]:
        meant = f"; did you mean {near[name]!r}?" if name in near else ""
        complain(f"there is no chunk of id or path {name!r}{meant}")
    if len(unknown) > _MOST_NAMED:
        complain(f"there is no chunk of {counted(len(unknown) - _MOST_NAMED, 'more name')}; --json lists all")


def _row(one: Quarantine) -> tuple[Any, ...]:
    """Lay out a taking out as cells."""
    since = one.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    now = one.status or "removed"
    if one.released_at is not None:
        now = f"released by {one.released_by}, {one.released_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    start = "" if one.start_s is None else f"{one.start_s:g}"
    return one.id, one.path or "", start, one.status_before, since, one.who, one.reason, now


def _document(one: Quarantine) -> dict[str, Any]:
    released = None if one.released_at is None else one.released_at.isoformat()
    return {**one._asdict(), "at": one.at.isoformat(), "released_at": released}
