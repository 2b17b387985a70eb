"""Read what Redis holds about rules, at little cost where nothing of it has changed.

Theory. Redis holds the bounds of all rules in one hash. So a search for all bounds of one rule goes through those of
every rule. That is done where settings or state have changed. Otherwise it is known which counts have bounds, and only
these are read. The reason is that a step changes bounds and state together: while the state is the same, no worker has
added a bound. Another program may have. Then a batch waits for it, and the rule is read anew.

Texts are parsed once, too. Settings and states may be long, and every worker looks at every rule once a second.
"""

from collections.abc import Collection
from typing import NamedTuple

from worker.core.adjust.driver import current_state
from worker.core.adjust.settings import Settings, read_settings
from worker.core.adjust.state import State, read_state
from worker.core.adjust.step import Found
from worker.ports.adjust import AdjustStore


class ReadRule(NamedTuple):
    """A rule as Redis holds it.

    Attributes:
        found: What Redis holds.
        settings: The settings; None: there are none.
        state: The state, see `worker.core.adjust.driver.current_state`.
    """

    found: Found
    settings: Settings | None
    state: State | None


class _Known(NamedTuple):
    """What is known of a rule since it was read anew; `units` are the categories' counts that have bounds."""

    texts: tuple[bytes, bytes]
    settings: Settings | None
    state: State | None
    units: tuple[str, ...]


class RuleReader:
    """Reads rules, and remembers them."""

    def __init__(self, store: AdjustStore) -> None:
        """Remember nothing yet.

        Args:
            store: Where rules are.
        """
        self._store = store
        self._known: dict[str | None, _Known] = {}

    def keep(self, names: Collection[str | None]) -> None:
        """Forget all rules but those of some datasets."""
        self._known = {name: self._known[name] for name in names if name in self._known}

    async def read(self, name: str | None, *, anew: bool) -> ReadRule:
        """Read a rule.

        Args:
            name: The dataset; None: the global weights.
            anew: Whether bounds that are not known are looked for.

        Raises:
            AdjustError: Settings or state are refused.
            RedisError: Redis did not answer, or refused.
        """
        known = self._known.get(name)
        found = None if known is None or anew else await self._store.look_at(name, known.units)
        while known is None or found is None or _texts(found) != known.texts:
            everything = await self._store.look(name)
            known = self._known[name] = _parse(everything, known)
            found = await self._store.look_at(name, known.units) if known.units else everything
        return ReadRule(found, known.settings, current_state(known.settings, known.state, found))


def _texts(found: Found) -> tuple[bytes, bytes]:
    return found.settings, found.state


def _parse(found: Found, before: _Known | None) -> _Known:
    """Parse the texts that have changed. A state without settings is not read: it goes, whatever it holds."""
    settings = before.settings if before is not None and before.texts[0] == found.settings else None
    if settings is None and found.settings:
        settings = read_settings(found.settings)
    state = before.state if before is not None and before.texts[1] == found.state else None
    if state is None and settings is not None and found.state:
        state = read_state(found.state)
    return _Known(_texts(found), settings, state, tuple(unit for unit in found.bounds if ":" in unit))
