"""Where weights and READY chunks do not meet.

Weighted categories without READY chunks: how much they weigh, which categories get their share, and which name was
meant. Also the opposite: categories with READY chunks and no weight, which these weights never draw.
"""

from collections.abc import Collection, Mapping, Sequence

from worker.core.weights.values import BUILT_IN
from worker.core.wording import MOST_COMPARED, nearest

_SUGGESTED = 20
_NAMED = 3
_UNWEIGHTED = 8


def left_out(shares: Mapping[str, float], ready: Collection[str]) -> dict[str, float]:
    """Find the weighted categories that have no READY chunk, sorted by name.

    Args:
        shares: Category -> weight, each > 0, summing to 1.
        ready: Categories that have READY chunks.

    Returns:
        Category -> weight.
    """
    return {name: shares[name] for name in sorted(shares.keys() - set(ready))}


def sentences(shares: Mapping[str, float], ready: Collection[str]) -> list[str]:
    """Write a sentence for each weighted category without a READY chunk: who gets its share, which name is near.

    Args:
        shares: Category -> weight, each > 0, summing to 1.
        ready: Categories that have READY chunks.
    """
    missing = left_out(shares, ready)
    takers = sorted(shares.keys() - missing.keys(), key=lambda name: (-shares[name], name))
    said = [_sentence(name, share, takers, ready) for name, share in list(missing.items())[:_SUGGESTED]]
    if len(missing) > _SUGGESTED:
        rest = sum(list(missing.values())[_SUGGESTED:])
        said.append(f"{len(missing) - _SUGGESTED:,} more categories have no READY chunk either, {rest:.1%} together")
    if missing and not takers:
        said.append("no weighted category has a READY chunk: requests would get no_ready_chunks")
    return said


def unweighted(shares: Mapping[str, float], ready: Collection[str]) -> list[str]:
    """Find the categories that have READY chunks and no weight, sorted by name.

    Args:
        shares: Category -> weight, each > 0, summing to 1.
        ready: Categories that have READY chunks.
    """
    return sorted(set(ready) - shares.keys())


def unweighted_text(shares: Mapping[str, float], ready: Collection[str]) -> str:
    """Name the categories that have READY chunks and no weight; empty if there are none.

    Args:
        shares: Category -> weight, each > 0, summing to 1.
        ready: Categories that have READY chunks.
    """
    names = unweighted(shares, ready)
    return f"READY, but not drawn, as they have no weight: {named(names)}" if names else ""


def named(names: Sequence[str], most: int = _UNWEIGHTED) -> str:
    """Write names for people: the first ones, and how many more there are.

    Args:
        names: At least one.
        most: How many are written.
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def nearest_name(name: str, ready: Collection[str]) -> str | None:
    """Find the category that may have been meant: one with READY chunks, or a built-in one.

    Args:
        name: A category without READY chunks.
        ready: Categories that have READY chunks. As many by name are compared as `nearest` takes.
    """
    if name in BUILT_IN:
        return None
    return nearest(name, [*sorted(ready)[: MOST_COMPARED - len(BUILT_IN)], *BUILT_IN])


def _sentence(name: str, share: float, takers: Sequence[str], ready: Collection[str]) -> str:
    near = nearest_name(name, ready)
    meant = f"; did you mean {near}?" if near else ""
    if not takers:
        return f"{name} has no READY chunk{meant}"
    return f"{name} has no READY chunk: its {share:.1%} go to {named(takers, _NAMED)}{meant}"
