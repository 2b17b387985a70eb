"""Find out when the share drawn of a category leaves what its weights allow, and log it once.

The test is `worker.core.stats.drift`. It gets the counts of each interval here.
"""

from collections.abc import Iterator
from itertools import islice

from worker.core.catalog import Catalog
from worker.core.catalog.durations import MS_A_SECOND
from worker.core.events import MixDrifted, MixFits
from worker.core.stats import read_counts
from worker.core.stats.departures import Departure, departures
from worker.core.stats.drift import FALSE_ALARM_RATE, DriftTest, Finding
from worker.core.weights.in_force import preset_name
from worker.core.weights.presets import BUILT_IN_PRESETS, built_in_preset
from worker.core.weights.values import Weights
from worker.logs.emit import RateLimited
from worker.service.meter import Interval
from worker.service.snapshots import CurrentSnapshots

_AT_ONCE = 256  # categories: comparing more would hold up others
_LEAST_S = 0.001


class DriftWatch:
    """The comparison of what this worker draws with the weights that it draws under."""

    def __init__(self, current: CurrentSnapshots, false_alarm_rate: float = FALSE_ALARM_RATE) -> None:
        """Begin without evidence.

        Args:
            current: The snapshots that it draws under.
            false_alarm_rate: False alarms in each interval, at most.
        """
        self._current = current
        self._rate = false_alarm_rate
        self._test = DriftTest(false_alarm_rate)
        self._catalog: Catalog | None = None
        self._longest_s = _LEAST_S
        self._drifted = RateLimited(interval_s=10.0, burst=5)
        self._fitting = RateLimited(interval_s=10.0, burst=5)

    def __repr__(self) -> str:
        """Show how many categories are compared."""
        return f"<DriftWatch of {len(self._test)} categories>"

    def look(self, interval: Interval, now_s: float) -> Iterator[None]:
        """Compare an interval, and log what began to drift or fits again.

        Args:
            interval: Its counts.
            now_s: When it ended (monotonic).

        Yields:
            After each part of the work, so that others may run.
        """
        counts = read_counts(interval.tally, interval.mixture_texts)
        found = departures(counts, interval.asked, self._longest(self._current.catalog))
        rows = iter(found.items())
        while part := dict(islice(rows, _AT_ONCE)):
            drawn = {key: one.drawn for key, one in part.items()}
            for finding in self._test.add(drawn, interval.since, now_s):
                self._log(finding, part[finding.key], now_s)
            yield

    def _longest(self, catalog: Catalog | None) -> float:
        """Return the longest duration, in s, of the catalogs at both ends of an interval."""
        before = self._longest_s
        if catalog is not self._catalog and catalog is not None and catalog.durations is not None:
            longest_ms = int(catalog.durations.milliseconds.max(initial=0))
            self._catalog, self._longest_s = catalog, max(_LEAST_S, longest_ms / MS_A_SECOND)
        return max(before, self._longest_s)

    def _log(self, finding: Finding, why: Departure, now_s: float) -> None:
        dataset, category = finding.key
        if finding.is_drifting:
            self._drifted.emit(lambda suppressed: self._drift(finding, why, now_s, suppressed), key=dataset)
            return
        self._fitting.emit(
            lambda suppressed: MixFits(
                dataset=dataset or None,
                category=category,
                drifted_s=now_s - finding.began_s,
                weights_version=counted_weights(self._current, dataset).version,
                suppressed=suppressed,
            ),
            key=dataset,
        )

    def _drift(self, finding: Finding, why: Departure, now_s: float, suppressed: int) -> MixDrifted:
        dataset, category = finding.key
        return MixDrifted(
            dataset=dataset or None,
            category=category,
            share=finding.amount / finding.total,
            expected_share=finding.expected / finding.total,
            count=None if why.is_time else round(finding.amount),
            audio_s=finding.amount if why.is_time else None,
            expected=finding.expected,
            since_s=now_s - finding.began_s,
            cause=why.cause,
            false_alarm_rate=self._rate,
            weights_version=counted_weights(self._current, dataset).version,
            suppressed=suppressed,
        )


def counted_weights(current: CurrentSnapshots, dataset: str) -> Weights:
    """Return the weights of a dataset's counts, or of a preset's; "" are the global ones."""
    held = current.weights.held(dataset) if dataset else current.weights.shared
    preset = dataset.removeprefix(preset_name(""))
    if preset != dataset and preset in BUILT_IN_PRESETS:
        return built_in_preset(preset, current.catalog.ready if current.catalog is not None else {})
    return held.weights or current.weights.in_force(None).weights
