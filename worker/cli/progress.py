"""How far a verb is, on standard error, where that is a terminal."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

_ITEMS_A_STEP = 5_000
T = TypeVar("T")
Advance = Callable[[int], None]


@contextmanager
def shown_while(doing: str) -> Iterator[None]:
    """Show what is being done, and for how long already."""
    with _progress() as progress:
        if progress is not None:
            progress.add_task(doing, total=None, amount="")
        yield


@contextmanager
def counting(doing: str, noun: str, total: int | None = None) -> Iterator[Advance]:
    """Show how many things are done.

    Args:
        doing: What is done.
        noun: What is counted, several of them.
        total: How many there are; None: not known.

    Yields:
        What to call with how many more are done.
    """
    with _progress() as progress:
        if progress is None:
            yield lambda _: None
            return
        task, of_all = progress.add_task(doing, total=total, amount=""), "" if total is None else f" of {total:,}"
        done = 0

        def advance(more: int) -> None:
            nonlocal done
            done += more
            progress.update(task, completed=done, amount=f"{done:,}{of_all} {noun}")

        yield advance


@contextmanager
def stages(noun: str = "files") -> Iterator[Callable[[str, int, int | None], None]]:
    """Show how far something is that has several stages.

    Args:
        noun: What is counted, several of them.

    Yields:
        What to call with what is done, how many things are done, and of how many; None: not known.
    """
    with _progress() as progress:
        if progress is None:
            yield lambda _doing, _done, _total: None
            return
        task = progress.add_task("", total=None, amount="")

        def tell(doing: str, done: int, total: int | None) -> None:
            amount = f"{done:,}{'' if total is None else f' of {total:,}'} {noun}" if done else ""
            progress.update(task, description=doing, completed=done, total=total, amount=amount)

        yield tell


def counted_items(items: Iterable[T], advance: Advance) -> Iterator[T]:
    """Yield items, and count them as they are taken.

    Args:
        items: What is taken.
        advance: From `counting`.
    """
    number = 0
    for number, item in enumerate(items, start=1):
        yield item
        if not number % _ITEMS_A_STEP:
            advance(_ITEMS_A_STEP)
    advance(number % _ITEMS_A_STEP)


@contextmanager
def _progress() -> Iterator[Any]:
    """Take the terminal, if there is one; it is given back as it was."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - for terminals alone
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    amount = TextColumn("{task.fields[amount]}")
    columns = (TextColumn("{task.description}"), BarColumn(20), amount, TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield progress
