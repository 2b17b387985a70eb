"""The requests and results of the demo, counted independently of the workers."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.core.stats.fit import chi_square, chi_square_p
from worker.core.weights.values import Weights
from worker.core.wire import Reply


@dataclass(slots=True)
class Move:
    """Weights that the demo has set, and the draws under them.

    Attributes:
        weights: The weights.
        sent_at: When they were sent to Redis (monotonic, in seconds).
        first_draw_s: Seconds until a job received a first result under them; None before that.
        drawn: Category -> number of chunks.
    """

    weights: Weights
    sent_at: float
    first_draw_s: float | None = None
    drawn: Counter[str] = field(default_factory=Counter)

    def expected(self) -> dict[str, float]:
        """Return the expected number of chunks of each category."""
        total = self.drawn.total()
        names = self.weights.shares.keys() | self.drawn.keys()
        return {name: self.weights.shares.get(name, 0.0) * total for name in sorted(names)}


@dataclass(slots=True)
class Ledger:
    """All requests and results of the demo.

    Attributes:
        ready: Chunk id -> category of the READY chunks, read from PostgreSQL.
        moves: Weights changes, in the order in which they were sent.
        stored: Number of changes that Redis has acknowledged.
        waiting: Request id -> index of the newest change acknowledged before the request was added.
        results: Number of results received.
        chunks: Number of chunk ids received.
        doubled: Number of results for requests that had one already.
        stale: Number of results under weights older than the newest acknowledged before their request.
        wrong: Number of results that are errors, or have a chunk that is not READY or not of its category.
    """

    ready: Mapping[int | str, str]
    moves: list[Move] = field(default_factory=list)
    stored: int = 0
    waiting: dict[str, int] = field(default_factory=dict)
    results: int = 0
    chunks: int = 0
    doubled: int = 0
    stale: int = 0
    wrong: int = 0

    def begin_move(self, weights: Weights) -> None:
        """Add weights that are sent now."""
        self.moves.append(Move(weights, time.monotonic()))

    def end_move(self) -> None:
        """Count the change as acknowledged by Redis."""
        self.stored += 1

    def add_requests(self, request_ids: list[str]) -> None:
        """Add requests that are sent next."""
        self.waiting.update(dict.fromkeys(request_ids, self.stored - 1))

    def check(self, result: Reply) -> None:
        """Check and count a result."""
        asked_under = self.waiting.pop(result.request_id, None)
        if asked_under is None:
            self.doubled += 1
            return
        self.results += 1
        number = self._find_move(result.weights_version, asked_under)
        if number is None or not self._is_right(result):
            self.wrong += 1
            return
        self.stale += number < asked_under
        move = self.moves[number]
        if move.first_draw_s is None:
            move.first_draw_s = time.monotonic() - move.sent_at
        move.drawn.update(result.counts)
        self.chunks += sum(result.counts.values())

    def p_value(self) -> float:
        """Compute the probability of a mix at least this far off, over all changes."""
        statistic, freedom = 0.0, 0
        for move in self.moves:
            expected = move.expected()
            if move.drawn:
                part, degrees = chi_square([move.drawn[name] for name in expected], list(expected.values()))
                statistic, freedom = statistic + part, freedom + degrees
        return chi_square_p(statistic, freedom)

    def _find_move(self, version: str, asked_under: int) -> int | None:
        """Find the change of a version: one in force since the request was added, else the newest older one."""
        numbers = [i for i, move in enumerate(self.moves) if move.weights.version == version]
        fresh = [i for i in numbers if i >= asked_under]
        return min(fresh) if fresh else max(numbers, default=None)

    def _is_right(self, result: Reply) -> bool:
        """Compare the ids with PostgreSQL, and the counts with the ids."""
        if result.error is not None or isinstance(result.chunk_ids, bytes):
            return False
        return Counter(self.ready.get(chunk, "") for chunk in result.chunk_ids) == Counter(result.counts)
