"""How often the chunks of a category were heard: on average, and the one that was heard most.

The *repeats* of a category are its chunks drawn over its READY chunks: the mean over its chunks. One chunk is heard
more often than the mean, and by how much is chance. Let n draws fall on N chunks alike. Then the count of each chunk is
nearly Poisson with mean m = n / N. Counts of different chunks are nearly independent. With F, the distribution function
of Poisson(m), the expected count of the most heard chunk is

    E[max] = sum over k >= 0 of P(max > k)
           = sum over k >= 0 of 1 - F(k)^N.

Counts are not quite independent, because they add up to n. That hardly matters: the sum moves all counts together. The
distance of the largest one from their mean is the same with and without it. The answer is within 6 % of the truth, and
within 1 % where 100 chunks or more were heard; `tests/core/stats/test_repeats.py` draws and compares. Three bounds hold
exactly. Some chunk was heard at least as often as the mean, rounded up. No chunk was heard more than n times. A single
chunk was heard n times.

Other draws repeat less: without replacement within a request, or stratified over chunks. In passes no chunk is heard
more often than there were passes. Draws by seeds may repeat more, because the same seed draws the same chunks again.

This module does not use NumPy: verbs that ask Redis alone start without it. A category takes a few microseconds.

Sources: the sum is the tail formula of an expectation. The independence is that of "Poissonisation", as in Barbour,
Holst and Janson, "Poisson Approximation", 1992, chapter 6. Above a mean of 1,000, a normal distribution with a term for
skewness replaces that of Poisson: Cornish and Fisher, 1938.
"""

import math
from functools import lru_cache
from typing import Final, NamedTuple

_NORMAL_ABOVE: Final = 1e3  # a mean count
_CERTAIN: Final = -40.0  # a logarithm of a chance that is none
_NEGLIGIBLE: Final = 1e-12  # of a count
_STEP, _LOWEST, _HIGHEST = 0.01, -9.0, 13.0  # standard deviations


class Repeats(NamedTuple):
    """How often the chunks of a category were heard; None stands for what is not known.

    Attributes:
        ready: Its READY chunks.
        repeats: How often each of them was heard on average; None where nothing is READY, too.
        most_repeats: How often the most heard one is expected to have been heard; None likewise.
    """

    ready: int | None
    repeats: float | None
    most_repeats: float | None


def repeats_of(heard: int, ready: int | None, passes: int = 0) -> Repeats:
    """Return how often the chunks of a category were heard.

    Where more was heard than the passes hold, other requests drew as well, or chunks are no longer READY. Then the
    answer is that of independent draws.

    Args:
        heard: Chunks drawn of it, >= 0.
        ready: Its READY chunks; None: not known.
        passes: The pass that its session is in, counted from 1; 0: nothing is drawn in passes.
    """
    most = most_repeats(heard, ready)
    if passes and (not ready or heard <= passes * ready):
        most = float(min(passes, heard))
    return Repeats(ready, mean_repeats(heard, ready), most)


def mean_repeats(heard: int, ready: int | None) -> float | None:
    """Return how often each chunk of a category was heard on average.

    Args:
        heard: Chunks drawn of it, >= 0.
        ready: Its READY chunks; None: not known.

    Returns:
        `heard / ready`; None where nothing is READY, or that is not known.
    """
    return heard / ready if ready else None


@lru_cache(maxsize=4096)  # a page asks again and again
def most_repeats(heard: int, ready: int | None) -> float | None:
    """Return how often the most heard chunk of a category is expected to have been heard, by independent draws.

    It rises with `heard`, and is at least `mean_repeats` and at most `heard`. The module says how exact it is.

    Args:
        heard: Chunks drawn of it, >= 0.
        ready: Its READY chunks; None: not known.

    Returns:
        A count of chunks; None where nothing is READY, or that is not known.
    """
    if not ready:
        return None
    if ready == 1 or heard <= 1:
        return float(heard)
    mean = heard / ready
    most = _largest_of_normal(mean, ready) if mean > _NORMAL_ABOVE else _largest_of_poisson(mean, ready)
    return min(float(heard), max(most, math.ceil(mean)))


def _largest_of_poisson(mean: float, count: int) -> float:
    """Return the expectation of the largest of some independent Poisson counts.

    Args:
        mean: Of each, > 0.
        count: How many, >= 2.
    """
    value = int(mean)
    chance = math.exp(value * math.log(mean) - mean - math.lgamma(value + 1))
    while value <= mean or count * chance > _NEGLIGIBLE:
        value += 1
        chance *= mean / value
    above, total = 0.0, 0.0  # the chance of a count above `value`: small terms are added first
    while value >= 0:
        none_above = count * math.log1p(-min(above, 1.0 - 1e-16))
        if none_above < _CERTAIN:
            return total + value + 1
        total -= math.expm1(none_above)
        above += chance
        chance *= value / mean
        value -= 1
    return total


def _largest_of_normal(mean: float, count: int) -> float:
    """Return the same for a large mean: quantiles of Poisson are mean + sd z + (z^2 - 1) / 6, and so on."""
    first, second = _normal_moments(count)
    return mean + math.sqrt(mean) * first + (second - 1.0) / 6.0


@lru_cache(maxsize=4096)
def _normal_moments(count: int) -> tuple[float, float]:
    """Return mean and mean square of the largest of some standard normal numbers, each within 1e-4."""
    first = second = 0.0
    for number in range(round((_HIGHEST - _LOWEST) / _STEP)):
        z = _LOWEST + (number + 0.5) * _STEP
        below = math.erfc(-z / math.sqrt(2.0)) / 2.0
        log_below = math.log1p(-math.erfc(z / math.sqrt(2.0)) / 2.0) if z > 0 else math.log(below)
        is_below = math.exp(count * log_below)
        part = _STEP * (1.0 - is_below if z > 0 else -is_below)
        first += part
        second += 2.0 * z * part
    return first, second
