"""The current catalog, weights and sessions: feeds replace them, and each batch takes them once."""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from worker.core.catalog import Catalog
from worker.core.draw.derived import Derived
from worker.core.draw.sessions import Session
from worker.core.weights.in_force import UNREAD, Held, InForce, in_force
from worker.core.weights.values import Weights, default_weights, defaults_for
from worker.core.workers.state_document import short_name
from worker.service.exclusions import ExclusionsBook

_DATASETS_REMEMBERED = 2048  # above the largest batch, so that one batch cannot push out its own
_FORGOTTEN_AFTER_S = 60.0
_IN_USE_S = 5.0  # a dataset that was named since may belong to a batch in hand
_SESSIONS_REMEMBERED = 4096
_WIDTH_REMEMBERED = 262_144  # categories of all sessions, and of all datasets; each takes a few hundred bytes


@dataclass(slots=True)
class _Remembered:
    """A dataset's weights, and when (monotonic, s) a request last named it."""

    held: Held
    asked_at: float


class WeightsBook:
    """What is known of the weights keys: the global one, and those of datasets in use.

    Whoever sends requests can invent datasets. So the book forgets datasets that no request names any more.
    """

    def __init__(self) -> None:
        """Begin with the defaults in force; no key has been read yet."""
        self.shared = UNREAD
        self.defaults = default_weights()
        self.turn = 0
        """How often other weights came into force, under any key."""
        self._shared_in_force = in_force(None, None, UNREAD)
        self.changed_at_ms = 0
        self._kept: Mapping[str, Mapping[str, float]] = {}
        self._kept_at = -1
        self._datasets: OrderedDict[str, _Remembered] = OrderedDict()
        self._notify: Callable[[], None] = lambda: None

    def watch(self, notify: Callable[[], None]) -> None:
        """Call `notify` whenever other weights come into force, or another catalog."""
        self._notify = notify

    def tell(self) -> None:
        """Call whoever watches."""
        self._notify()

    def in_force(self, dataset: str | None) -> InForce:
        """Return the weights in force for a dataset, or the global ones."""
        if dataset is None:
            return self._shared_in_force
        return in_force(dataset, self._touch(dataset).held, self.shared, self.defaults)

    def unknown(self, datasets: Collection[str | None]) -> list[str | None]:
        """Return the datasets whose keys have to be read first; the others are kept meanwhile."""
        unknown: list[str | None] = []
        for name in datasets:
            if name is None:
                continue
            if name in self._datasets:
                self._touch(name)
            else:
                unknown.append(name)
        return unknown

    def known(self) -> list[str | None]:
        """Return all datasets whose keys are kept fresh, the global one (None) first."""
        return [None, *self._datasets]

    def knows(self, dataset: str | None) -> bool:
        """Return whether a key is kept fresh."""
        return dataset is None or dataset in self._datasets

    def held(self, dataset: str | None) -> Held:
        """Return what is known of a key."""
        if dataset is None:
            return self.shared
        remembered = self._datasets.get(dataset)
        return remembered.held if remembered else UNREAD

    def put(self, dataset: str | None, held: Held) -> None:
        """Replace what is known of a key."""
        before = self.held(dataset).weights
        if dataset is None:
            self.shared = held
            self._shared_in_force = in_force(None, None, held, self.defaults)
        elif dataset in self._datasets:
            self._datasets[dataset].held = held
        else:
            self._datasets[dataset] = _Remembered(held, time.monotonic())
            if len(self._datasets) > _DATASETS_REMEMBERED:
                self._datasets.popitem(last=False)
        if held.weights is not before:
            self.turn += 1
            self._notify()

    def put_defaults(self, defaults: Weights) -> None:
        """Replace the default weights; equal ones stay."""
        if defaults.text != self.defaults.text:
            self.defaults = defaults
            self._shared_in_force = in_force(None, None, self.shared, defaults)
            self.turn += 1
            self._notify()

    def versions(self, most: int) -> dict[str, str]:
        """Return the versions of the datasets used last; empty if a dataset has no weights of its own."""
        last = islice(reversed(self._datasets.items()), most)
        return {name: one.held.weights.version if one.held.weights else "" for name, one in last}

    def versions_beyond(self, most: int) -> dict[str, str]:
        """Return the versions of the other datasets, by the short forms of their names."""
        others = islice(reversed(self._datasets.items()), most, None)
        return {short_name(name): one.held.weights.version if one.held.weights else "" for name, one in others}

    def own(self) -> Iterator[tuple[str, Weights | None]]:
        """Yield the known datasets with the weights of their own keys, or None."""
        return ((name, one.held.weights) for name, one in self._datasets.items())

    def kept(self, most: int, *, widest: int) -> Mapping[str, Mapping[str, float]]:
        """Return the last valid weights of keys whose value is refused, by dataset; "" are the global ones.

        Args:
            most: Most datasets to return.
            widest: Most categories of all of them together.
        """
        if self._kept_at == self.turn:
            return self._kept
        found: dict[str, Mapping[str, float]] = {}
        for name, weights in (("", self.shared.weights), *self.own()):
            if weights is None or weights.source != "last_known" or len(weights.shares) > widest:
                continue
            found[name] = weights.rounded
            widest -= len(weights.shares)
            if len(found) == most:
                break
        self._kept, self._kept_at = found, self.turn
        return found

    def forget_idle(self) -> None:
        """Forget datasets that no request has named for a minute, unless only memory holds their weights.

        If all of them together have too many categories, the datasets used least recently are forgotten sooner.
        """
        now = time.monotonic()
        width = sum(_width(one.held) for one in self._datasets.values())
        for name, remembered in list(self._datasets.items()):
            weights = remembered.held.weights
            patience_s = _IN_USE_S if width > _WIDTH_REMEMBERED else _FORGOTTEN_AFTER_S
            if remembered.asked_at < now - patience_s and not (weights and weights.source == "last_known"):
                del self._datasets[name]
                width -= _width(remembered.held)

    def _touch(self, dataset: str) -> _Remembered:
        """Record that a request names a dataset now."""
        remembered = self._datasets[dataset]
        remembered.asked_at = time.monotonic()
        self._datasets.move_to_end(dataset)
        return remembered


def _width(held: Held) -> int:
    """Return the number of categories of a weights key."""
    return 0 if held.weights is None else len(held.weights.shares)


class SessionsBook:
    """What is known of the sessions that requests named last; it runs ahead of Redis, see `worker.service.in_hand`."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._width = 0

    def get(self, name: str) -> Session | None:
        """Return what is known of a session, or None."""
        return self._sessions.get(name)

    def put(self, name: str, session: Session) -> None:
        """Replace what is known of a session; the sessions replaced least recently may be forgotten."""
        before = self._sessions.pop(name, None)
        self._sessions[name] = session
        self._width += session.width - (0 if before is None else before.width)
        while len(self._sessions) > _SESSIONS_REMEMBERED or (
            self._width > _WIDTH_REMEMBERED and len(self._sessions) > 1
        ):
            _, forgotten = self._sessions.popitem(last=False)
            self._width -= forgotten.width


class CurrentSnapshots:
    """The snapshots in force; each is replaced by one assignment.

    Attributes:
        catalog_at_ms: Unix time in ms at which the catalog came into force.
        is_split_hidden: Whether PostgreSQL knows splits that the worker may not read.
        weights: The weights.
        sessions: The sessions.
        exclusions: The exclusion lists.
    """

    def __init__(self, catalog: Catalog | None = None) -> None:
        """Begin with a catalog, or without one."""
        self.weights = WeightsBook()
        self.sessions = SessionsBook()
        self.exclusions = ExclusionsBook()
        self.catalog_at_ms = 0
        self.is_split_hidden = False
        self.catalog = catalog

    @property
    def catalog(self) -> Catalog | None:
        """Return the READY chunks; None before the first load."""
        return None if self._derived is None else self._derived.catalog

    @catalog.setter
    def catalog(self, catalog: Catalog | None) -> None:
        """Put another catalog in force, and the default weights for its categories."""
        self._derived = None if catalog is None else Derived(catalog)
        self._apart: dict[object, Derived] = {}
        self.weights.put_defaults(defaults_for(() if catalog is None else frozenset(catalog.categories)))

    @property
    def derived(self) -> Derived | None:
        """Return the catalog with the values that draws in the event loop have computed from it."""
        return self._derived

    def derived_apart(self, user: object, derived: Derived) -> Derived:
        """Return the same catalog with derived values for one user alone, such as a lane that draws in a thread.

        Args:
            user: Who draws.
            derived: The catalog that it draws from.
        """
        apart = self._apart.get(user)
        if apart is None or apart.catalog is not derived.catalog:
            apart = Derived(derived.catalog)
            if derived is self._derived:  # else another catalog is in force by now, and this one goes after the draw
                self._apart[user] = apart
        return apart
