"""What was asked for and what came back: the demo's own evidence, kept apart from the workers' counts."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.core.stats.fit import chi_square, chi_square_p
from worker.core.weights.values import Weights
from worker.core.wire import Reply


@dataclass(slots=True)
class Move:
    """Hold one set of weights, and what was drawn under it.

    Attributes:
        weights: The weights.
        sent_at: When they were sent to Redis (monotonic, s).
        first_draw_s: Seconds from then to the first result under them in a job's hands; None until it came.
        drawn: Category -> chunks.
    """

    weights: Weights
    sent_at: float
    first_draw_s: float | None = None
    drawn: Counter[str] = field(default_factory=Counter)

    def expected(self) -> dict[str, float]:
        """Tell how many chunks of each category the weights make one expect."""
        total = self.drawn.total()
        names = self.weights.shares.keys() | self.drawn.keys()
        return {name: self.weights.shares.get(name, 0.0) * total for name in sorted(names)}


@dataclass(slots=True)
class Ledger:
    """Hold every request and result of the demo.

    Attributes:
        ready: Chunk id -> category of the READY chunks, read from PostgreSQL.
        moves: Sets of weights, in the order in which they were sent.
        stored: How many of them Redis has acknowledged.
        waiting: Request id -> the newest move acknowledged before the request was added.
        results: Results received.
        chunks: Chunk ids received.
        doubled: Results of requests that had one already.
        stale: Results under weights older than the newest acknowledged before their request was added.
        wrong: Results that are errors, or hold a chunk that is not READY or not of the category counted.
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
        """Note that weights are sent now."""
        self.moves.append(Move(weights, time.monotonic()))

    def end_move(self) -> None:
        """Note that Redis has acknowledged them."""
        self.stored += 1

    def ask(self, request_ids: list[str]) -> None:
        """Note requests that are added next."""
        self.waiting.update(dict.fromkeys(request_ids, self.stored - 1))

    def take(self, result: Reply) -> None:
        """Note a result and check it."""
        asked_under = self.waiting.pop(result.request_id, None)
        if asked_under is None:
            self.doubled += 1
            return
        self.results += 1
        place = self._place(result.weights_version, asked_under)
        if place is None or not self._is_right(result):
            self.wrong += 1
            return
        self.stale += place < asked_under
        move = self.moves[place]
        if move.first_draw_s is None:
            move.first_draw_s = time.monotonic() - move.sent_at
        move.drawn.update(result.counts)
        self.chunks += sum(result.counts.values())

    def p_value(self) -> float:
        """Compute the probability of a mix at least this far off, over all sets of weights."""
        statistic, freedom = 0.0, 0
        for move in self.moves:
            expected = move.expected()
            if move.drawn:
                part, degrees = chi_square([move.drawn[name] for name in expected], list(expected.values()))
                statistic, freedom = statistic + part, freedom + degrees
        return chi_square_p(statistic, freedom)

    def _place(self, version: str, asked_under: int) -> int | None:
        """Find the move of a version: the one in force since the request was asked, else the newest older one."""
        places = [i for i, move in enumerate(self.moves) if move.weights.version == version]
        fresh = [i for i in places if i >= asked_under]
        return min(fresh) if fresh else max(places, default=None)

    def _is_right(self, result: Reply) -> bool:
        """Hold the ids against PostgreSQL's own view, and the counts against the ids."""
        if result.error is not None or isinstance(result.chunk_ids, bytes):
            return False
        return Counter(self.ready.get(chunk, "") for chunk in result.chunk_ids) == Counter(result.counts)
