"""What `catalog quarantine` and `catalog release` do: take chunks out, put them back, and list them."""

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC
from typing import Any, Final

import click

from worker.adapters.postgres.quarantine import (
    QUARANTINED,
    Outcome,
    Quarantine,
    list_quarantines,
    quarantine_chunks,
    release_chunks,
)
from worker.cli.library import warn_of_query
from worker.cli.output import complain
from worker.cli.printing import print_json, print_table, print_text
from worker.cli.words import counted, listed
from worker.settings.environment import user
from worker.settings.servers import read_server_settings

_MOST_NAMED: Final = 10
_COLUMNS: Final = ("id", "path", "from s", "before", "since", "who", "reason", "now")


def quarantine(names: Sequence[str], reason: str, who: str | None, *, as_json: bool) -> None:
    """Take chunks out.

    Args:
        names: Their ids and paths; a relative path also stands for the absolute one.
        reason: Why.
        who: Who does it; None: the user.
        as_json: Whether to print JSON.
    """
    settings = read_server_settings(need=["database"])
    forms = _forms(names)
    outcome = asyncio.run(quarantine_chunks(settings.database_url, forms, reason=reason, who=who or user()))
    warn_of_query(settings)
    if outcome.unchanged:
        complain(f"already {QUARANTINED}: {listed(outcome.unchanged, _MOST_NAMED)}")
    if as_json:
        document = {"quarantined": outcome.changed, "already": outcome.unchanged, "unknown": outcome.unknown}
        print_json({name: list(found) for name, found in document.items()})
    else:
        changed = len(outcome.changed)
        back = "it" if changed == 1 else "them"
        print_text(f"{counted(changed, 'chunk')} {QUARANTINED}; `catalog release` puts {back} back")
    _end(outcome)


def release(names: Sequence[str], who: str | None, *, as_json: bool) -> None:
    """Put chunks back.

    Args:
        names: As for `quarantine`.
        who: Who does it; None: the user.
        as_json: Whether to print JSON.
    """
    settings = read_server_settings(need=["database"])
    outcome = asyncio.run(release_chunks(settings.database_url, _forms(names), who=who or user()))
    warn_of_query(settings)
    if outcome.unchanged:
        complain(f"not in quarantine: {listed(outcome.unchanged, _MOST_NAMED)}")
    if as_json:
        document = {"released": outcome.changed, "free": outcome.unchanged, "unknown": outcome.unknown}
        print_json({name: list(found) for name, found in document.items()})
    else:
        print_text(f"{counted(len(outcome.changed), 'chunk')} released")
    _end(outcome, is_wrong=bool(outcome.unchanged))


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


def _end(outcome: Outcome, *, is_wrong: bool = False) -> None:
    """Say which names are not known.

    Raises:
        Exit: One is not known, or something else was not as it was taken for.
    """
    for name in outcome.unknown[:_MOST_NAMED]:
        complain(f"there is no chunk of id or path {name!r}")
    if len(outcome.unknown) > _MOST_NAMED:
        complain(f"there is no chunk of {counted(len(outcome.unknown) - _MOST_NAMED, 'more name')}; --json lists all")
    if outcome.unknown or is_wrong:
        raise click.exceptions.Exit(1)


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
