"""The datasets that somebody watches: each is followed once, however many watch it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from worker.core.keys import NAME_PATTERN
from worker.errors import SettingsError
from worker.live.document import empty_document
from worker.live.track import Track

MOST_DATASETS: Final = 32
_KEPT_S: Final = 900.0


class Watched:
    """A dataset that is followed.

    Attributes:
        track: What is followed of it.
        document: Its newest view.
        watchers: How many watch it.
        until_s: Until when (monotonic, s) it is kept without anybody.
    """

    def __init__(self, name: str | None, prefix: str) -> None:
        """Begin without a look.

        Args:
            name: The dataset; None: the global weights.
            prefix: Start of the names in Redis.
        """
        self.track = Track(name)
        self.document: Mapping[str, Any] = empty_document(prefix, name)
        self.watchers = 0
        self.until_s = time.monotonic() + _KEPT_S


class WatchList:
    """At most 32 datasets; one that nobody watches is kept for 15 minutes, so that its history stays."""

    def __init__(self, prefix: str) -> None:
        """Begin without a dataset.

        Args:
            prefix: Start of the names in Redis.
        """
        self._prefix = prefix
        self._datasets: dict[str | None, Watched] = {}

    def __iter__(self) -> Iterator[Watched]:
        """Yield those that are followed."""
        return iter(list(self._datasets.values()))

    def __len__(self) -> int:
        """Count those that are followed."""
        return len(self._datasets)

    @property
    def watchers(self) -> int:
        """Count who watches."""
        return sum(one.watchers for one in self._datasets.values())

    def names(self) -> list[str | None]:
        """List the datasets; None stands for the global weights."""
        return list(self._datasets)

    def get(self, dataset: str | None) -> Watched:
        """Return what is followed of a dataset; begin to follow it if it is new.

        Args:
            dataset: Its name; None: the global weights.

        Raises:
            SettingsError: It can be no dataset, or too many are watched.
        """
        if dataset not in self._datasets:
            if dataset is not None and not NAME_PATTERN.fullmatch(dataset):
                raise SettingsError(f"dataset {dataset!a} is not accepted; accepted: {NAME_PATTERN.pattern}")
            self.forget(MOST_DATASETS - 1)
            if len(self._datasets) >= MOST_DATASETS:
                raise SettingsError(f"too many datasets are watched; accepted: at most {MOST_DATASETS} at once")
            self._datasets[dataset] = Watched(dataset, self._prefix)
        return self._datasets[dataset]

    @contextmanager
    def watching(self, dataset: str | None) -> Iterator[Watched]:
        """Watch a dataset during the block.

        Args:
            dataset: Its name; None: the global weights.

        Raises:
            SettingsError: It can be no dataset, or too many are watched.
        """
        watched = self.get(dataset)
        watched.watchers += 1
        try:
            yield watched
        finally:
            watched.watchers -= 1
            watched.until_s = time.monotonic() + _KEPT_S

    def forget(self, most: int = MOST_DATASETS) -> None:
        """Forget datasets that nobody has watched for 15 minutes; of too many, those not watched for longest."""
        now = time.monotonic()
        idle = [
            (one.until_s, number, name) for number, (name, one) in enumerate(self._datasets.items()) if not one.watchers
        ]
        for until_s, _, name in sorted(idle, key=lambda one: one[:2]):
            if until_s < now or len(self._datasets) > most:
                del self._datasets[name]
