"""What `weights show` does."""

import time
from collections.abc import Sequence
from typing import Any

import click

from worker.cli.context import Opened, check_dataset
from worker.cli.mix import set_text, until_text
from worker.cli.near import near_dataset
from worker.cli.output import complain
from worker.cli.prefixes import run_in_one, try_in_each
from worker.cli.printing import State, print_json, print_table, print_text, shares_text
from worker.cli.words import Share, counted, listed
from worker.core.weights.left_out import unweighted_text
from worker.core.workers.mix import Mix, look_at_mix
from worker.core.workers.state_document import UNREADABLE
from worker.core.workers.states import doubts
from worker.core.workers.weights_in_use import InUse
from worker.errors import SamplingError
from worker.weights.in_use import Survey, make_survey

_SOURCES = {
    "default": "the defaults",
    "last_known": "the last valid ones",
    "redis": "the global ones",
    "dataset": "the dataset's own",
}


def show_weights(dataset: str | None, prefixes: Sequence[str], *, as_json: bool) -> None:
    """Print the weights in force, and who set them; status 1 while a key holds a refused value.

    Args:
        dataset: Whose weights; None: the global ones.
        prefixes: Where, see `worker.cli.prefixes`; none: in that of the settings.
        as_json: Whether to print JSON.
    """
    check_dataset(dataset)

    async def look(opened: Opened) -> Survey:
        return await make_survey(opened.client, opened.keys, opened.settings, dataset)

    async def look_near(opened: Opened) -> tuple[Survey, str]:
        survey = await look(opened)
        is_shared = dataset is not None and survey.use.name is None
        return survey, await near_dataset(opened, str(dataset)) if is_shared else ""

    if len(prefixes) > 1:
        _show_each(prefixes, try_in_each(prefixes, look), as_json=as_json)
        return
    survey, near = run_in_one(prefixes, look_near)
    if as_json:
        print_json(_document(survey))
    else:
        _print_survey(survey)
    if dataset is not None and survey.use.name is None:
        complain(f"dataset {dataset} has no weights of its own: the global ones are in force for it{near}")
    if survey.problem is not None:
        raise click.exceptions.Exit(1)


def _show_each(prefixes: Sequence[str], found: Sequence[Survey | SamplingError], *, as_json: bool) -> None:
    """Print what is in force in each prefix; the exit status is that of the first that could not be looked at."""
    if as_json:
        print_json([{"prefix": prefix, **_part(one)} for prefix, one in zip(prefixes, found, strict=True)])
    for prefix, one in zip(prefixes, found, strict=True):
        if isinstance(one, SamplingError):
            complain(f"{prefix}: {one}")
        elif not as_json:
            print_text(f"prefix {prefix}")
            _print_survey(one, f"{prefix}: ")
    errors = [one for one in found if isinstance(one, SamplingError)]
    if errors or any(isinstance(one, Survey) and one.problem is not None for one in found):
        raise click.exceptions.Exit(errors[0].exit_status if errors else 1)


def _part(found: Survey | SamplingError) -> dict[str, Any]:
    return {"error": str(found)} if isinstance(found, SamplingError) else _document(found)


def _mix(survey: Survey) -> Mix:
    return Mix(None, ()) if survey.use.shares is None else look_at_mix(survey.use.shares, survey.ready)


def _print_survey(survey: Survey, place: str = "") -> None:
    """Print what is in force in one prefix."""
    _print_use(survey)
    _print_workers(survey)
    for sentence in (*_mix(survey).warnings, *doubts(survey.workers)):
        complain(f"{place}{sentence}")
    if survey.use.shares and (unweighted := unweighted_text(survey.use.shares, survey.ready.categories or ())):
        print_text(unweighted)


def source_text(source: str) -> str:
    """Write where weights come from."""
    return _SOURCES.get(source, source or "of unknown origin")


def use_document(use: InUse) -> dict[str, Any]:
    """Return some weights that workers draw under as plain data."""
    shares = None if use.shares is None else dict(use.shares)
    return {"version": use.version, "source": use.source or None, "weights": shares, "workers": list(use.workers)}


def _document(survey: Survey) -> dict[str, Any]:
    use, change, pending = survey.use, survey.change, survey.pending
    return {
        "dataset": use.name,
        **use_document(use),
        "until_ms": None if pending is None else pending.due_ms,
        "who": None if change is None else change.who,
        "reason": None if change is None else change.reason,
        "set_at_ms": None if change is None else change.at_ms,
        "problem": survey.problem,
        "in_force": [use_document(one) for one in survey.uses],
        **_mix(survey).document,
        "workers": list(survey.documents),
    }


def _print_use(survey: Survey) -> None:
    """Print the weights that most workers draw under."""
    use = survey.use
    about = [f"weights {use.version}", source_text(use.source), set_text(survey.change)]
    title = ", ".join(part for part in about if part)
    if use.shares is None:
        print_text(f"{title}; what they weigh is neither in the history nor shown by a worker")
    else:
        print_table(title, ("category", "weight"), [(name, Share(share)) for name, share in use.shares.items()])
    if survey.pending is not None:
        due_ms = survey.pending.due_ms
        print_text(until_text(due_ms, due_ms - time.time_ns() // 1_000_000, survey.pending, use.name))
    if survey.problem is not None:
        print_text(f"the key holds a value that is refused: {survey.problem}", "wrong")


def _print_workers(survey: Survey) -> None:
    """Print who draws under these weights, and who under others."""
    use, held = survey.use, sum(len(one.workers) for one in survey.uses)
    if not survey.workers:
        print_text("no worker runs: one that starts now would draw under these", "waits")
    elif not held:
        alive = counted(len(survey.workers), "worker")
        print_text(f"none of {alive} was asked for it lately: with the next request these are in force", "waits")
    elif survey.problem is None and use.version == survey.stored.weights.version:
        state: State = "fits" if len(use.workers) == held else "waits"
        print_text(f"applied by {len(use.workers)} of {counted(held, 'worker')}", state)
    else:
        print_text(f"in force on {len(use.workers)} of {counted(held, 'worker')}", "waits")
    for other in survey.uses[1:]:
        weighed = "" if other.shares is None else f": {shares_text(other.shares)}"
        draws = "draws" if len(other.workers) == 1 else "draw"
        names = listed(other.workers, 10)
        print_text(f"{names} {draws} under {other.version}, {source_text(other.source)}{weighed}", "waits")
    for document in survey.documents:
        if UNREADABLE in document:
            print_text(f"worker {document['consumer']}: unreadable: {document[UNREADABLE]}", "wrong")
