"""Tell when the mix that is asked for cannot be drawn: weighted categories without READY chunks, once a change."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from worker.core.events import MixComplete, MixLeftOut
from worker.core.weights.in_force import UNREAD, InForce, preset_name
from worker.core.weights.left_out import left_out
from worker.core.weights.presets import BUILT_IN_PRESETS
from worker.core.weights.values import Weights
from worker.logs.emit import emit
from worker.service.snapshots import State

_REMEMBERED = 4096  # names, of which a state remembers half as many: one that is asked for seldom is not told anew
_DECIMALS = 3  # of a share: what changes less is not told again


class _Look(NamedTuple):
    """Hold what was looked at by one name, and what of it was left out: how many, a hash of which, and their share."""

    versions: tuple[str, str]
    missing: tuple[int, int, float]


_BUILT_IN: Final = tuple(map(preset_name, BUILT_IN_PRESETS))
_COMPLETE: Final = (0, 0, 0.0)


class MixWatch:
    """Hold the weights that are asked for against the catalog, and tell what is left out once that changes."""

    def __init__(self, state: State) -> None:
        """Take the snapshots in force."""
        self._state = state
        self._looks: dict[str | None, _Look] = {}
        self._seen: tuple[int, str, int] | None = None

    def look(self) -> None:
        """Look at what is in force now; what is as it was the last time takes next to no time."""
        derived = self._state.derived
        if derived is None or self._state.weights.shared is UNREAD:
            return  # nobody knows yet
        catalog, presets = derived.catalog, derived.presets
        seen = (self._state.weights.turn, catalog.version, len(presets))
        if seen == self._seen:
            return
        self._seen = seen
        if len(self._looks) > _REMEMBERED:
            knows = self._state.weights.knows
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
                _tell(name, before, now, list(missing))

    def _asked(self, presets: Mapping[str, InForce]) -> Iterator[tuple[str | None, Weights | None]]:
        """Walk over the names that are asked for, and the weights of their own; None where one has none."""
        book = self._state.weights
        yield None, book.in_force(None).weights
        yield from book.own()
        for name in _BUILT_IN:
            if name in presets:
                yield name, presets[name].weights


def _tell(name: str | None, before: _Look, now: _Look, missing: list[str]) -> None:
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
