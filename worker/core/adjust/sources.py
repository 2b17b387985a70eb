"""Which category of the library each source of a mix is.

A source is a category if somebody says so (`theirs=ours`). Else the library must have a category of its name, or of a
name that it may also have. Where the library is not known, the source's own name has to be a valid category name. Any
other source is refused: the mix would not be heard as it was fitted.
"""

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from worker.core.adjust.values import shown
from worker.core.adjust.weight_lists import Source
from worker.core.catalog.naming import made_name
from worker.core.keys import CATEGORY_PATTERN
from worker.core.weights.left_out import named, nearest_name
from worker.core.weights.values import BUILT_IN, MAX_CATEGORIES
from worker.core.wording import plural
from worker.errors import WeightsError

_NAMED: Final = 10


class Placed(NamedTuple):
    """A source, and the category that it is.

    Attributes:
        source: The source.
        category: Its category; empty: it is left out, because somebody says so, or because it weighs nothing.
    """

    source: Source
    category: str


def place_sources(sources: Sequence[Source], mapped: Mapping[str, str], ready: Collection[str] | None) -> list[Placed]:
    """Find the category of each source.

    Args:
        sources: Those of a mix.
        mapped: Label, or a pattern of labels such as `dclm:*` -> category; empty: the source is left out. A label goes
            before a pattern, and a pattern before those behind it.
        ready: Categories that have READY chunks; None: not known, and each name is taken that can be a category.

    Raises:
        WeightsError: A source is no category of the library, or a name in `mapped` is none of a source.
    """
    _check_mapped(sources, mapped)
    placed, unknown = [], list[Source]()
    for source in sources:
        category = _category(source, mapped, ready)
        if category is None and source.weight:
            unknown.append(source)
        placed.append(Placed(source, category or ""))
    if unknown:
        raise WeightsError(_unknown_text(unknown, ready))
    return placed


def add_up(placed: Sequence[Placed]) -> dict[str, float]:
    """Add up what each category weighs.

    Raises:
        WeightsError: Nothing weighs anything.
    """
    found: dict[str, float] = {}
    for source, category in placed:
        if category:
            found[category] = found.get(category, 0.0) + source.weight
    if not any(found.values()):
        raise WeightsError("nothing is left that weighs anything; accepted: at least one weight above zero")
    return {name: found[name] for name in sorted(found)}


def _check_mapped(sources: Sequence[Source], mapped: Mapping[str, str]) -> None:
    labels = [source.label for source in sources]
    for label, category in mapped.items():
        if not any(label == one or fnmatchcase(one, label) for one in labels):
            theirs = named([shown(one) for one in dict.fromkeys(labels)], _NAMED)
            raise WeightsError(f"--map: there is no source {shown(label)}; accepted: {theirs}, or a pattern of these")
        if category and not CATEGORY_PATTERN.fullmatch(category):
            raise WeightsError(f"--map: {shown(category)} is no category name; accepted: {CATEGORY_PATTERN.pattern}")


def _category(source: Source, mapped: Mapping[str, str], ready: Collection[str] | None) -> str | None:
    """Return the category of a source, empty if it is left out; None if the library has none."""
    said = mapped.get(source.label)
    if said is None:
        said = next((to for label, to in mapped.items() if fnmatchcase(source.label, label)), None)
    if said is not None:
        return said if not said or _is_known(said, ready) else None
    names = [source.label]
    if ready is not None:  # else another name would be a guess that nothing confirms
        names += [name for name in source.others if name]
        names += [made_name(name) for name in names if name]
    return next((name for name in names if _is_known(name, ready)), None)


def _is_known(name: str, ready: Collection[str] | None) -> bool:
    """Return whether a name is a category; what is built in may have no READY chunks yet."""
    if ready is None:
        return CATEGORY_PATTERN.fullmatch(name) is not None
    return name in ready or name in BUILT_IN


def _unknown_text(unknown: Sequence[Source], ready: Collection[str] | None) -> str:
    """Write which sources are no category, which there are, and what to do."""
    labels = list(dict.fromkeys(source.label for source in unknown))
    told = named([f"{shown(label)}{_hint(label, ready)}" for label in labels], _NAMED)
    has = f"; the library has {named(sorted(ready), _NAMED)}" if ready else ""
    wanted = f"--map {labels[0]}=CATEGORY, or --map {labels[0]}= to leave it out"
    return f"{plural(len(labels), 'source')} of no category: {told}{has}; accepted: {wanted}"


def _hint(label: str, ready: Collection[str] | None) -> str:
    near = nearest_name(label, ready) if ready and len(ready) <= MAX_CATEGORIES else None
    return f" (did you mean {near}?)" if near else ""
