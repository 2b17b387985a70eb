"""What all browsers of a desk share: one loop that looks at Redis, and a channel for each thing that is watched."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from worker.core.live.rows import Strips
from worker.desk.channel import Channel
from worker.desk.context import Context
from worker.errors import DeskError
from worker.live import LiveDesk

MOST_STREAMS: Final = 100


class Watched(NamedTuple):
    """What a browser looks at.

    Attributes:
        dataset: Whose weights; None: the global ones.
        names: Categories that it wants to see in any case.
    """

    dataset: str | None
    names: tuple[str, ...] = ()


class Hub:
    """Looks while somebody watches, and hands each look to all who do.

    Attributes:
        live: What is looked at.
        is_closed: Whether the desk ends.
    """

    def __init__(self, context: Context) -> None:
        """Look later.

        Args:
            context: Where to look.
        """
        self.live = LiveDesk(context.client, context.keys)
        self.is_closed = False
        self._own = {"read_only": context.is_read_only}
        self._channels: dict[Watched, Channel] = {}

    def __repr__(self) -> str:
        """Return the state in one line, for logs and tests."""
        return f"<Hub: {self._streams} streams of {len(self._channels)} channels, {self.live!r}>"

    async def run(self) -> None:
        """Hand each look to all channels, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.live.run())
            looks = 0
            while True:
                looks = await self.live.next_look(looks)
                for watched, channel in self._channels.items():
                    self._show(watched, channel)

    def close(self) -> None:
        """End all streams."""
        self.is_closed = True
        for channel in self._channels.values():
            channel.wake()

    def check(self, watched: Watched) -> None:
        """Refuse a stream that cannot be opened.

        Raises:
            DeskError: Too many are open.
            SettingsError: There can be no such dataset, or too many are watched.
        """
        if self._streams >= MOST_STREAMS:
            what = f"{self._streams} streams are open; accepted: at most {MOST_STREAMS} at once, or another desk"
            raise DeskError(HTTPStatus.SERVICE_UNAVAILABLE, "too_many", what)
        self.live.view(watched.dataset)

    @asynccontextmanager
    async def watching(self, watched: Watched) -> AsyncIterator[Channel]:
        """Watch during the block.

        Raises:
            SettingsError: There can be no such dataset, or too many are watched.
        """
        with self.live.watching(watched.dataset):
            channel = self._channels.get(watched)
            if channel is None:
                channel = self._channels[watched] = Channel(lambda: self.live.series(watched.dataset))
            channel.watchers += 1
            try:
                if not channel.has_shown:
                    await self.live.look()
                    self._show(watched, channel)
                yield channel
            finally:
                channel.watchers -= 1
                if not channel.watchers:
                    del self._channels[watched]

    async def look(self) -> None:
        """Look now, if somebody watches: something has just changed."""
        if self._channels:
            await self.live.look()

    async def view(self, watched: Watched) -> Mapping[str, Any]:
        """Return one view that is new.

        Raises:
            SettingsError: There can be no such dataset, or too many are watched.
        """
        with self.live.watching(watched.dataset):
            await self.live.next_look(self.live.looks)
            return self._view(watched)

    async def known(self, watched: Watched) -> tuple[Mapping[str, Any], Strips]:
        """Return the newest view, and what its rows are made of; look first if nobody watches.

        Raises:
            DeskError: Redis has not answered yet.
            SettingsError: There can be no such dataset, or too many are watched.
        """
        strips = self.live.strips(watched.dataset)
        view = self._view(watched) if strips is not None and self._channels else await self.view(watched)
        strips = self.live.strips(watched.dataset)
        if strips is None:
            raise DeskError(HTTPStatus.SERVICE_UNAVAILABLE, "redis", view["redis"]["problem"])
        return view, strips

    @property
    def _streams(self) -> int:
        return sum(channel.watchers for channel in self._channels.values())

    def _view(self, watched: Watched) -> dict[str, Any]:
        return {**self.live.view(watched.dataset, watched.names), **self._own}

    def _show(self, watched: Watched, channel: Channel) -> None:
        """Show what is new in a channel."""
        channel.show("view", self._view(watched))
        points, point = self.live.point(watched.dataset)
        if point is not None:
            channel.show_point(points, point)
        turn, phases = self.live.phases(watched.dataset)
        if channel.turn != (turn, points):  # they count on at each look, and many categories make them long
            channel.turn = (turn, points)
            channel.show("phases", {"phases": phases})
