"""Log what became of reports of losses: which were refused or too old, and who was outvoted."""

from collections.abc import Iterable

from worker.core.adjust.reports import LossReports
from worker.core.events import FeedbackOutvoted, FeedbackRefused, FeedbackStale
from worker.errors import RequestError
from worker.logs.emit import RateLimited

_INTERVAL_S = 10.0
_BURST = 5


class FeedbackLog:
    """The log of feedback. What repeats is logged now and then, and counted."""

    def __init__(self) -> None:
        self._refused = RateLimited(_INTERVAL_S, _BURST)
        self._stale = RateLimited(_INTERVAL_S, 1)
        self._outvoted = RateLimited(60.0, 1)

    def refused(self, reports: Iterable[tuple[str, RequestError]]) -> None:
        """Log refused reports.

        Args:
            reports: Entry and error of each.
        """
        for entry_id, error in reports:
            self._refused.emit(
                lambda suppressed, entry_id=entry_id, error=error: FeedbackRefused(  # type: ignore[misc]
                    entry_id=entry_id, error=error.code, message=error.message, suppressed=suppressed
                )
            )

    def gathered(self, dataset: str | None, weights_version: str, losses: LossReports) -> None:
        """Log what a step left out of the reports that it went by. Call it for a step that was made, once.

        Args:
            dataset: The dataset whose weights moved; None: the global ones.
            weights_version: Version of the weights that the reports should be of.
            losses: The reports.
        """
        if losses.stale:
            self._stale.emit(
                lambda suppressed: FeedbackStale(
                    dataset=dataset,
                    reports=losses.stale,
                    used=losses.used,
                    weights_version=weights_version,
                    suppressed=suppressed,
                ),
                dataset or "",
            )
        for reporter, categories in losses.outvoted.items():
            self._outvoted.emit(
                lambda suppressed, reporter=reporter, categories=categories: FeedbackOutvoted(  # type: ignore[misc]
                    dataset=dataset, reporter=reporter, categories=",".join(categories), suppressed=suppressed
                ),
                reporter,
            )
