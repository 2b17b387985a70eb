"""Log weighted categories that have no READY chunk, once a change: their share goes to the others."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from worker.core.events import MixComplete, MixLeftOut
from worker.core.weights.in_force import UNREAD, InForce, preset_name
from worker.core.weights.left_out import left_out
from worker.core.weights.presets import BUILT_IN_PRESETS
from worker.core.weights.values import Weights
from worker.logs.emit import emit
from worker.service.snapshots import CurrentSnapshots

_REMEMBERED = 4096  # names, of which the snapshots remember half as many: one that is asked for seldom is not told anew
_DECIMALS = 3  # of a share: what changes less is not told again


class _Look(NamedTuple):
    """What was seen under one name: versions, and of the categories left out their number, hash and share."""

    versions: tuple[str, str]
    missing: tuple[int, int, float]


_BUILT_IN: Final = tuple(map(preset_name, BUILT_IN_PRESETS))
_COMPLETE: Final = (0, 0, 0.0)


class MixWatch:
    """A comparison of the weights that are asked for with the catalog."""

    def __init__(self, current: CurrentSnapshots) -> None:
        """Watch the current snapshots."""
        self._current = current
        self._looks: dict[str | None, _Look] = {}
        self._seen: tuple[int, str, int] | None = None

    def look(self) -> None:
        """Log what has changed since the last look."""
        derived = self._current.derived
        if derived is None or self._current.weights.shared is UNREAD:
            return  # nobody knows yet
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
        """Yield each name that is asked for, with its own weights; None where it has none."""
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
