"""The live view of one installation, for a page, a terminal or a program.

Theory. However many people watch, one loop looks at Redis once a second, and only while somebody watches. Each look
makes one document for each dataset that is watched; everybody who watches gets the same one. All that is kept is
bounded: 15 minutes of points, 20 phases, 200 marks, 64 categories of each, 32 datasets. If Redis is lost, the last
document stays, says so, and is made anew as soon as Redis answers.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from worker.adapters.redis.client import Client
from worker.core.keys import Keys
from worker.core.live.rows import Strips, row_of
from worker.core.live.series import Level
from worker.core.live.workers import slowest
from worker.errors import RedisError
from worker.live.document import document_of
from worker.live.reading import Reader, Reading
from worker.live.watched import WatchList


class LiveDesk:
    """The live view: `run` it, watch a dataset, and read its documents.

    Attributes:
        looks: How many looks have ended, failed ones included.
        error: Why the last look failed; None: it did not.
    """

    def __init__(self, client: Client, keys: Keys, *, every_s: float = 1.0) -> None:
        """Look later.

        Args:
            client: A connection. Its longest wait for a reply is how long a silent Redis is waited for.
            keys: Names in Redis.
            every_s: Time between two looks, in seconds.
        """
        self.looks = 0
        self.error: RedisError | None = None
        self._keys = keys
        self._every_s = every_s
        self._reader = Reader(client, keys)
        self._datasets = WatchList(keys.prefix)
        self._wanted, self._news = asyncio.Event(), asyncio.Event()
        self._looking = asyncio.Lock()
        self._redis: dict[str, Any] = {"ok": True, "problem": "", "since_ms": None}

    def __repr__(self) -> str:
        """Return the state in one line, for logs and tests."""
        watchers = f"{self._datasets.watchers} watch {len(self._datasets)} datasets"
        return f"<LiveDesk of {self._keys.prefix!r}: {watchers}, {self.looks} looks>"

    async def run(self) -> None:
        """Look again and again, while somebody watches, until cancelled."""
        try:
            while True:
                await self._wanted.wait()
                began = time.monotonic()
                await self.look()
                await asyncio.sleep(max(0.0, began + self._every_s - time.monotonic()))
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection of its own; the client stays open."""
        self._reader.close()

    @contextmanager
    def watching(self, dataset: str | None) -> Iterator[None]:
        """Watch a dataset during the block.

        Args:
            dataset: Its name; None: the global weights.

        Raises:
            SettingsError: It can be no dataset, or too many are watched.
        """
        with self._datasets.watching(dataset):
            self._wanted.set()
            try:
                yield
            finally:
                if self._datasets.watchers == 1:
                    self._wanted.clear()

    async def next_look(self, seen: int) -> int:
        """Wait until there have been more looks than were seen, and return how many.

        Args:
            seen: Looks that the caller knows, see `looks`.
        """
        while self.looks <= seen:
            await self._news.wait()
        return self.looks

    async def look(self) -> None:
        """Look at Redis once, now; if it does not answer, the view says so."""
        async with self._looking:
            try:
                await self._look()
            except RedisError as error:
                self.error = error
                since_ms = self._redis["since_ms"] or time.time_ns() // 1_000_000
                self._redis = {"ok": False, "problem": str(error), "since_ms": since_ms}
            else:
                self.error = None
                self._redis = {"ok": True, "problem": "", "since_ms": None}
        self.looks += 1
        self._news.set()
        self._news = asyncio.Event()

    def view(self, dataset: str | None, with_: Sequence[str] = ()) -> dict[str, Any]:
        """Return the newest view document of a dataset. It is shared: nobody may change it.

        Args:
            dataset: Its name; None: the global weights.
            with_: Categories to show in any case.

        Raises:
            SettingsError: It can be no dataset, or too many are watched.
        """
        watched = self._datasets.get(dataset)
        view = {**watched.document, "redis": self._redis}
        strips, shown = watched.track.strips, set(watched.track.names)
        if strips is not None and (extra := [name for name in dict.fromkeys(with_) if name not in shown]):
            view["categories"] = [*view["categories"], *(row_of(name, strips) for name in extra)]
            view["categories_left_out"] = max(0, view["categories_left_out"] - len(extra))
        return view

    def series(self, dataset: str | None) -> dict[str, Any]:
        """Return the points of a dataset: `step_s`, and `points`, the newest last.

        Raises:
            SettingsError: It can be no dataset, or too many are watched.
        """
        return self._datasets.get(dataset).track.series.document()

    def point(self, dataset: str | None) -> tuple[int, dict[str, Any] | None]:
        """Return how many points a dataset has had, and the newest one; None before the first.

        Raises:
            SettingsError: It can be no dataset, or too many are watched.
        """
        series = self._datasets.get(dataset).track.series
        return series.turn, series.newest()

    def phases(self, dataset: str | None) -> tuple[int, list[dict[str, Any]]]:
        """Return how often a phase of a dataset began or ended, and its phases, the newest last.

        Raises:
            SettingsError: It can be no dataset, or too many are watched.
        """
        phases = self._datasets.get(dataset).track.phases
        return phases.turn, phases.documents()

    def find(self, dataset: str | None, text: str, most: int = 100) -> tuple[list[dict[str, Any]], int]:
        """Find categories by a part of their name.

        Args:
            dataset: Whose weights.
            text: The part; empty: all.
            most: Most categories to return.

        Returns:
            `name`, `ready` and `share` of each, sorted by name; and how many there are in all.

        Raises:
            SettingsError: It can be no dataset, or too many are watched.
        """
        strips = self._datasets.get(dataset).track.strips
        if strips is None:
            return [], 0
        names = sorted(name for name in {*strips.shares, *(strips.ready.categories or {})} if text in name)
        rows = [row_of(name, strips) for name in names[:most]]
        return [{name: row[name] for name in ("name", "ready", "share")} for row in rows], len(names)

    def strips(self, dataset: str | None) -> Strips | None:
        """Return what the rows of a dataset are made of, of all its categories; None before the first look.

        Raises:
            SettingsError: It can be no dataset, or too many are watched.
        """
        return self._datasets.get(dataset).track.strips

    async def _look(self) -> None:
        """Look once, and write the documents.

        Raises:
            RedisError: Redis does not answer.
        """
        self._datasets.forget()
        reading = await self._reader.read(self._datasets.names())
        began, level = time.thread_time(), self._level(reading)
        for watched in self._datasets:
            seen = watched.track.look(reading, self._reader.history, level)
            setter = await self._reader.setter(seen.stored.dataset, seen.version)
            watched.document = document_of(self._keys.prefix, watched.track, self._reader, setter)
        if reading.has_new_counts:
            self._reader.counting.took(self._reader.counting_s + time.thread_time() - began)

    def _level(self, reading: Reading) -> Level:
        """Return what is true of the whole system."""
        return Level(
            self._reader.rates()["requests_per_s"],
            reading.backlog.lag if reading.backlog else None,
            slowest(reading.documents, "latency_p50_ms"),
            slowest(reading.documents, "latency_p99_ms"),
        )
