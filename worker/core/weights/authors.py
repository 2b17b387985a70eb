"""Who made the changes of weights that a worker has put in force, and why, by the history.

A worker sees values of keys, and the history says who stored which value. They are matched by the mark of the value,
see `worker.core.weights.in_force`. The same value may have been stored several times, so three rules decide:

1. Changes are matched from the last one back, each with the newest entry of its value that is left. An entry counts for
   one change, and no later entry counts for an earlier change.
2. Only entries count that are newer than the last one that was matched under the same name.
3. Under a name without a match so far, entries count since the worker began to look. The newest one before counts, too.

Somebody may store a value without the history, such as by SET. That does not count as a change of whoever stored the
value before.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from worker.core.weights.history import Authorship, sort_key

_MOST_NAMES: Final = 4096
BEFORE_ALL: Final = "0-0"


class AppliedChange(NamedTuple):
    """A change that came into force: the weights name, and the mark of what its key holds now."""

    name: str | None
    mark: bytes


class Authors:
    """Matches changes with the history; it remembers by name up to where the history was matched."""

    def __init__(self, newest: str) -> None:
        """Begin to look.

        Args:
            newest: Id of the newest entry of the history; `BEFORE_ALL` if it has none.
        """
        self._began = newest
        self._last: dict[str | None, str] = {}

    def after(self, changes: Sequence[AppliedChange]) -> str:
        """Return the entry that all entries of these changes come after, but for those of `unmatched` names."""
        return min((self._last.get(change.name, self._began) for change in changes), key=sort_key)

    def unmatched(self, changes: Sequence[AppliedChange]) -> list[str | None]:
        """List the names without a match yet; the newest entry of each is needed as well."""
        return [name for name in dict.fromkeys(change.name for change in changes) if name not in self._last]

    def match(self, changes: Sequence[AppliedChange], newest_first: Sequence[Authorship]) -> list[Authorship | None]:
        """Find who made each change.

        Args:
            changes: In the order in which they came into force.
            newest_first: Entries of the history, see `after` and `unmatched`.

        Returns:
            For each change its entry; None where the history has none.
        """
        matched: list[Authorship | None] = [None] * len(changes)
        for name in {change.name for change in changes}:
            entries = self._candidates(name, newest_first)
            for number in reversed([number for number, change in enumerate(changes) if change.name == name]):
                places = (place for place, one in enumerate(entries) if one.mark == changes[number].mark)
                place = next(places, None)
                if place is not None:
                    matched[number], entries = entries[place], entries[place + 1 :]
        for found in matched:
            if found is not None:
                self._last.pop(found.name, None)
                self._last[found.name] = found.entry
        while len(self._last) > _MOST_NAMES:
            del self._last[next(iter(self._last))]
        return matched

    def _candidates(self, name: str | None, newest_first: Sequence[Authorship]) -> Sequence[Authorship]:
        """Return the entries that count under a name, by rules 2 and 3."""
        own = [one for one in newest_first if one.name == name and one.mark]
        last = sort_key(self._last.get(name, self._began))
        new = [one for one in own if sort_key(one.entry) > last]
        return new if name in self._last else own[: len(new) + 1]
