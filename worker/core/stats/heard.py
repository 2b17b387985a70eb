"""Counts of what was heard under weights that a rule moves, and why its steps come exactly where due.

Theory. A rule that goes by counts has a *bound*: the count of what was heard at which its next step is due. Bounds and
counts stand in two hashes, under the same fields. The rule's step stores weights and the next bounds at once.

1. The weights value of such a rule is *positioned*: it begins with a space. No other value does.
2. A batch that was drawn under a positioned value hands its growth of the counts to the settling script.
3. The script settles a batch only if each weights key holds the value that the batch was drawn under. Also, no bound
   of the batch's fields may be met. In the same step the script adds the batch's growth to the counts.

So the *position* of a batch is what was heard before it. Every request of the batch was drawn under the weights of that
position:

- A bound is stored in one step with a positioned value. A batch that was drawn under that value brings its growth, so
  its bound is checked. A batch that was drawn under any other value is refused by the weights key. So a worker keeps
  to a bound that it does not know.
- A batch that finds a bound met is drawn again after the step. Until then the counts stand still, for every worker. So
  the step finds counts that exceed the bound by less than one batch. The next position is exact again.
- Growth and results are one step, and a step is whole or not there. So a crash of a worker loses or doubles no count.
- A positioned value is never settled unfenced, see `worker.service.outcome`. A refusal of such a batch has one of three
  causes: another batch was settled, a rule made a step, or a person wrote. So batches go on, as they do without bounds.

A value of anybody else is not positioned. So where no rule goes by counts, nothing of this is sent or checked.

A count belongs to the weights in force for a request: `chunks:<dataset>`, `ms:<dataset>`, `requests:<dataset>`, and
`chunks:<dataset>:<category>`. The global weights have the empty name. Requests under a preset or in error do not count.
Requests that name a category, and those of a pinned session, draw by something else. They count all the same: the
training hears them, and a chunk that they repeat is repeated.

The bound of a category is checked for each batch that could draw of it. Batches of wide mixtures are an exception:
their tally names only the categories that were drawn of. So one that drew of the category is refused. One that did not
may be settled before the step. Nothing more is drawn of the category either way.
"""

from collections.abc import Collection, Mapping
from typing import Final

from worker.core.stats.fields import CHUNKS, ERRORS, MS, REQUESTS, split

UNITS: Final = (CHUNKS, MS, REQUESTS)
"""Units in which what was heard is counted: chunks, milliseconds of audio, and requests."""


def heard_field(unit: str, dataset: str | None) -> str:
    """Return the field of a count.

    Args:
        unit: One of `UNITS`; `chunks:<category>` for the chunks of a category.
        dataset: Whose weights; None for the global ones.
    """
    kind, colon, category = unit.partition(":")
    return f"{kind}:{dataset or ''}{colon}{category}"


def read_field(field: str) -> tuple[str, str | None]:
    """Return unit and dataset of a count; see `heard_field`."""
    kind, _, rest = field.partition(":")
    dataset, colon, category = rest.partition(":")
    return f"{kind}{colon}{category}", dataset or None


def heard_growth(tally: Mapping[str, int], datasets: Collection[str | None]) -> dict[str, int]:
    """Return how much a batch adds to what was heard.

    Args:
        tally: Field of the stats hash -> its growth by the batch.
        datasets: Those whose weights are positioned; None for the global ones.

    Returns:
        Field -> growth, without zeros but for categories that could have been drawn: their bounds matter, too. Of wide
        mixtures only the categories that were drawn are there.
    """
    names = {dataset or "" for dataset in datasets}
    growth: dict[str, int] = {}
    for name, amount in tally.items():
        kind, dataset, category = split(name)
        if dataset not in names:
            continue
        if kind == ERRORS:
            _grow(growth, f"{REQUESTS}:{dataset}", -amount)
        elif kind in UNITS:
            _grow(growth, f"{kind}:{dataset}", amount)
        if kind == CHUNKS:
            _grow(growth, f"{CHUNKS}:{dataset}:{category}", amount)
    return {name: amount for name, amount in growth.items() if amount or name.count(":") > 1}


def _grow(growth: dict[str, int], name: str, amount: int) -> None:
    growth[name] = growth.get(name, 0) + amount
