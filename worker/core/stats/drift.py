"""Drift test: is what is drawn of a category beyond what chance allows? The test may look after every interval.

For each category, an interval has what was drawn, and the mean and variance under its own weights. So a change of
weights is no drift: every draw is compared with the weights that it was drawn under.

1. A draw that has the category with probability p adds X - p, where X is 0 or 1. By Bennett's inequality, for every
   number b:

       E exp(b (X - p) - p (1 - p) (e^|b| - 1 - |b|)) <= 1

   Let D be the sum of X - p, and V the sum of variances. Then exp(b D - V (e^|b| - 1 - |b|)) is a nonnegative
   supermartingale: evidence, which chance rarely makes large. This holds for every number of draws. Nothing is assumed
   to be normal.
2. A drift may begin at any time. So evidence below 1 is replaced by 1 before an interval is added, as in Page's test
   (CUSUM). The drift is taken to have begun where the evidence was replaced last.
3. The size of a drift is not known. So the evidence is the mean over numbers b of both signs, 2^-7 to 2.
4. A category alarms when its evidence reaches K / r. Here K categories are compared, and r is the false-alarm rate.
   Then the first false alarm of any category comes after a mean of at least 1 / r intervals. This holds however often
   one looks.
5. Nothing alarms before 100 draws of the category were expected since the drift began.
6. After an alarm the evidence begins anew. The test notes how much was expected from the start of the drift to the
   alarm. The category fits again when 10 times as much was expected of it without another alarm.

Seconds of audio are compared likewise: divided by the longest duration, a draw adds a number between 0 and 1. A request
that draws a length bucket decides on all of its chunks together. Its counts less their means are divided by the largest
number of chunks. The results lie between -1 and 1 and have mean 0. So 1 holds for them, too.

Source: Bennett, "Probability Inequalities for the Sum of Independent Random Variables", JASA 57 (1962), for 1; Page,
"Continuous Inspection Schemes", Biometrika 41 (1954), for 2; Robbins, "Statistical Methods Related to the Law of the
Iterated Logarithm", Ann. Math. Stat. 41 (1970), and Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform,
nonparametric, nonasymptotic confidence sequences", Ann. Stat. 49 (2021), for 3; Shin, Ramdas and Rinaldo, "E-detectors:
a nonparametric framework for sequential change detection" (2022), for 4.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

FALSE_ALARM_RATE: Final = 1e-7
"""False alarms in each interval, at most, over all categories that are compared."""

LEAST_EXPECTED: Final = 100.0
MOST_COMPARED: Final = 16_384
"""Categories that are compared, at most; each takes about 720 bytes."""

_QUIET = 10.0
_SIZES = 2.0 ** np.arange(-7, 2)
_TILTS = np.concatenate((_SIZES, -_SIZES))[:, None]
_COSTS = np.expm1(np.abs(_TILTS)) - np.abs(_TILTS)
_FIRST_ROOM = 64

Floats = NDArray[np.float64]
Key = tuple[str, str]
"""Dataset and category."""


class Drawn(NamedTuple):
    """What one interval drew of one category.

    Attributes:
        amount: Chunks drawn, or their seconds.
        expected: What the weights make one expect of it.
        variance: Its variance, >= 0.
        total: The amount of all categories of the dataset.
        longest: The largest amount of one draw: 1 for chunks, the longest duration for seconds.
        draws_each: Draws for each unit of the amount: 1 for chunks, 1 / the mean duration for seconds.
    """

    amount: float
    expected: float
    variance: float
    total: float
    longest: float = 1.0
    draws_each: float = 1.0


@dataclass(frozen=True, slots=True)
class Finding:
    """A category that began to drift, or fits again.

    Attributes:
        key: Dataset and category.
        is_drifting: Whether it drifts now.
        amount: What was drawn of it since the drift began.
        expected: What was expected since then.
        total: The amount of all categories of the dataset since then.
        began_s: When the drift began, by the clock of the caller; when it was found, if it fits again.
    """

    key: Key
    is_drifting: bool
    amount: float
    expected: float
    total: float
    began_s: float


class DriftTest:
    """The evidence of each category, in bounded memory: categories that were drawn least recently are forgotten."""

    def __init__(self, false_alarm_rate: float = FALSE_ALARM_RATE, most: int = MOST_COMPARED) -> None:
        """Begin without evidence.

        Args:
            false_alarm_rate: False alarms in each interval, at most, within (0, 1).
            most: Most categories to compare, >= 1.
        """
        self._rate = false_alarm_rate
        self._most = most
        self._columns: dict[Key, int] = {}
        self._sums = np.zeros((5, len(_TILTS), 0))  # evidence (log), amount, expected, total, when it began
        self._found = np.zeros((3, 0))  # when a drift was found (NaN: none), expected since, and until it fits again

    def __len__(self) -> int:
        """Return how many categories are compared."""
        return len(self._columns)

    def add(self, drawn: dict[Key, Drawn], began_s: float, now_s: float) -> list[Finding]:
        """Add one interval.

        Args:
            drawn: What it drew, by dataset and category; no more than are compared.
            began_s: When it began, in seconds of any clock.
            now_s: When it ended.

        Returns:
            The categories that began to drift now, and those that fit again; the largest departures first.
        """
        if not drawn:
            return []
        keys = list(drawn)
        columns = self._find(keys)
        rows = np.array(list(drawn.values())).T
        sums, found = self._sums[:, :, columns], self._found[:, columns]
        alarm = math.log(len(self._columns) / self._rate)
        _accumulate(sums, rows, began_s)
        best = sums[:, sums[0].argmax(axis=0), np.arange(len(columns))]
        alarms = (best[0] >= alarm) & (best[2] * rows[5] >= LEAST_EXPECTED)
        alarms[alarms] = np.logaddexp.reduce(sums[0][:, alarms], axis=0) >= alarm + math.log(len(_TILTS))
        is_drifting = ~np.isnan(found[0])
        found[1] += rows[1]
        found[1:, alarms] = np.stack((np.zeros(len(columns)), _QUIET * best[2]))[:, alarms]
        is_over = is_drifting & (found[1] >= found[2])
        findings = [_finding(keys[i], best[:, i], None) for i in np.flatnonzero(alarms & ~is_drifting)]
        findings += [_finding(keys[i], best[:, i], found[0, i]) for i in np.flatnonzero(is_over)]
        found[0] = np.where(alarms & ~is_drifting, now_s, np.where(is_over, np.nan, found[0]))
        sums[:, :, alarms] = 0.0
        self._sums[:, :, columns], self._found[:, columns] = sums, found
        return sorted(findings, key=lambda one: -abs(one.amount - one.expected))

    def _find(self, keys: Sequence[Key]) -> NDArray[np.intp]:
        """Return the column of each category; new ones begin without evidence."""
        for key in keys:  # the last ones are those drawn most recently
            column = self._columns.pop(key, None)
            self._columns[key] = -1 if column is None else column
        if len(self._columns) > self._most:
            self._forget(len(self._columns) - self._most)
        new = [key for key in keys if self._columns[key] < 0]
        first = len(self._columns) - len(new)
        room = self._sums.shape[2]
        if len(self._columns) > room:
            more = min(self._most, max(_FIRST_ROOM, 2 * len(self._columns))) - room
            self._sums = np.concatenate((self._sums, np.zeros((*self._sums.shape[:2], more))), axis=2)
            self._found = np.concatenate((self._found, np.zeros((3, more))), axis=1)
        self._sums[:, :, first : first + len(new)] = 0.0
        self._found[0, first : first + len(new)] = np.nan
        self._columns.update(zip(new, range(first, first + len(new)), strict=True))
        return np.array([self._columns[key] for key in keys])

    def _forget(self, count: int) -> None:
        """Forget the categories that were drawn least recently, and close the gaps."""
        for key in list(self._columns)[:count]:
            del self._columns[key]
        kept = [(key, column) for key, column in self._columns.items() if column >= 0]
        columns = [column for _, column in kept]
        self._sums[:, :, : len(kept)] = self._sums[:, :, columns]
        self._found[:, : len(kept)] = self._found[:, columns]
        self._columns.update((key, number) for number, (key, _) in enumerate(kept))


def _accumulate(sums: Floats, rows: Floats, began_s: float) -> None:
    """Add an interval to the sums of some categories; see rules 1 and 2.

    Args:
        sums: float64, shape (5, tilts, k); changed in place.
        rows: float64, shape (6, k), see `Drawn`.
        began_s: When the interval began.
    """
    amount, expected, variance, total, longest, _ = rows
    sums[:, sums[0] <= 0.0] = 0.0
    sums[4, sums[3] == 0.0] = began_s
    sums[0] += _TILTS * ((amount - expected) / longest) - _COSTS * (variance / longest**2)
    sums[1:4] += np.stack((amount, expected, total))[:, None, :]


def _finding(key: Key, best: Floats, found_s: float | None) -> Finding:
    _, amount, expected, total, began_s = best.tolist()
    return Finding(key, found_s is None, amount, expected, total, began_s if found_s is None else float(found_s))
