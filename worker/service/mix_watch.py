"""Find out when the requested mix cannot be drawn: weighted categories without READY chunks, logged once a change."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from worker.core.events import MixComplete, MixLeftOut
from worker.core.weights.in_force import UNREAD, InForce, preset_name
from worker.core.weights.left_out import left_out
from worker.core.weights.presets import BUILT_IN_PRESETS
from worker.core.weights.values import Weights
from worker.logs.emit import emit
from worker.service.snapshots import CurrentSnapshots

_REMEMBERED = 4096  # names; twice as many as the snapshots remember, so that a rarely used name is not logged again
_DECIMALS = 3  # of a share; smaller changes are not logged again


class _Look(NamedTuple):
    """One name's versions of weights and catalog, and its missing categories: how many, a hash of them, their share."""

    versions: tuple[str, str]
    missing: tuple[int, int, float]


_BUILT_IN: Final = tuple(map(preset_name, BUILT_IN_PRESETS))
_COMPLETE: Final = (0, 0, 0.0)


class MixWatch:
    """The comparison of the weights in use with the catalog; it logs changes of what is left out."""

    def __init__(self, current: CurrentSnapshots) -> None:
        """Compare these snapshots."""
        self._current = current
        self._looks: dict[str | None, _Look] = {}
        self._seen: tuple[int, str, int] | None = None

    def look(self) -> None:
        """Compare what is in force now; without changes since the last call, this takes almost no time."""
        derived = self._current.derived
        if derived is None or self._current.weights.shared is UNREAD:
            return  # not known yet
        catalog, presets = derived.catalog, derived.presets
        seen = (self._current.weights.turn, catalog.version, len(presets))
        if seen == self._seen:
            return
        self._seen = seen
        if len(self._looks) > _REMEMBERED:
            knows = self._current.weights.knows
            self._looks = {name: one for name, one in self._looks.items() if knows(name) or name in _BUILT_IN}
        catalog_version, ready = catalog.version, frozenset(catalog.categories)
        for name, weights in self._asked(presets):
            if weights is None:
                self._looks.pop(name, None)
                continue
            versions = (weights.version, catalog_version)
            before = self._looks.get(name, _Look(("", ""), _COMPLETE))
            if before.versions != versions:
                missing = left_out(weights.shares, ready)
                share = round(sum(missing.values()), _DECIMALS)
                now = _Look(versions, (len(missing), hash(tuple(missing)), share) if missing else _COMPLETE)
                self._looks[name] = now
                _log(name, before, now, list(missing))

    def _asked(self, presets: Mapping[str, InForce]) -> Iterator[tuple[str | None, Weights | None]]:
        """Yield the names in use with their own weights, or None."""
        book = self._current.weights
        yield None, book.in_force(None).weights
        yield from book.own()
        for name in _BUILT_IN:
            if name in presets:
                yield name, presets[name].weights


def _log(name: str | None, before: _Look, now: _Look, missing: list[str]) -> None:
    version, catalog_version = now.versions
    if missing and now.missing != before.missing:
        share = now.missing[-1]
        emit(
            MixLeftOut(
                dataset=name,
                categories=", ".join(missing),
                share=share,
                weights_version=version,
                catalog_version=catalog_version,
            )
        )
    elif before.missing != now.missing:
        emit(MixComplete(dataset=name, weights_version=version, catalog_version=catalog_version))
