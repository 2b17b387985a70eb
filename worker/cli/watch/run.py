"""The life of `watch`: look, and show what was seen."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from worker.cli.context import check_dataset, open_redis
from worker.cli.printing import print_json, print_line, print_text
from worker.cli.watch.news import News
from worker.cli.watch.picture import Size, draw
from worker.live import LiveDesk

Show = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for, by the options of the same names; `every` is in seconds."""

    dataset: str | None
    every: float
    once: bool
    as_json: bool


def watch(wanted: Wanted) -> None:
    """Show a running system until interrupted, or once.

    Args:
        wanted: What is asked for.
    """
    check_dataset(wanted.dataset)
    asyncio.run(_watch(wanted))


async def _watch(wanted: Wanted) -> None:
    async with _looking(wanted) as live:
        if wanted.once:
            await live.next_look(live.looks)
            _print_once(live, wanted)
        elif wanted.as_json or not sys.stdout.isatty():
            await _follow(live, _printer(live, wanted))
        else:
            from worker.cli.watch.screen import shown_on  # noqa: PLC0415 - rich, on a terminal alone

            with shown_on(lambda size: draw(live.view(wanted.dataset), live.series(wanted.dataset), size)) as show:
                await _follow(live, show)


@asynccontextmanager
async def _looking(wanted: Wanted) -> AsyncIterator[LiveDesk]:
    """Look again and again during the block; the first look has to succeed.

    Raises:
        RedisError: Redis does not answer.
    """
    async with open_redis() as opened:
        live = LiveDesk(opened.client, opened.keys, every_s=wanted.every)
        with live.watching(wanted.dataset):
            await live.look()
            if live.error is not None:
                live.close()
                raise live.error
            await asyncio.sleep(wanted.every if wanted.once else 0)  # a rate needs two looks, with time in between
            loop = asyncio.create_task(live.run())
            try:
                yield live
            finally:
                loop.cancel()
                await asyncio.wait([loop])


async def _follow(live: LiveDesk, show: Show) -> None:
    """Show the first look, and each one that follows."""
    seen = 0
    while True:
        show()
        seen = await live.next_look(max(seen, live.looks))


def _print_once(live: LiveDesk, wanted: Wanted) -> None:
    view = live.view(wanted.dataset)
    if wanted.as_json:
        print_json(view)
        return
    for line in draw(view, live.series(wanted.dataset), Size(shutil.get_terminal_size().columns, None)):
        print_line(line)


def _printer(live: LiveDesk, wanted: Wanted) -> Show:
    """Return what prints each document for programs, and for people who have no terminal what is new."""
    news = News()

    def show() -> None:
        view: dict[str, Any] = live.view(wanted.dataset)
        if wanted.as_json:
            print_json(view)
            return
        for text, state in news.of(view):
            print_text(text, state)

    return show
