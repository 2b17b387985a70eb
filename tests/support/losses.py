"""Reports of losses, made of arrays."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.core.adjust.guards import guard
from worker.core.adjust.reports import LossReports
from worker.core.adjust.robust import Cells, add_up
from worker.core.adjust.rule import LONGEST_EVIDENCE, Inputs, Proposal
from worker.core.adjust.rules import RULES
from worker.core.adjust.settings import read_settings

Array = NDArray[np.float64]


def loss_reports(
    categories: Sequence[str],
    means: Array,
    deviations: Array,
    counts: NDArray[Any],
    reporters: Sequence[int] | None = None,
) -> LossReports:
    """Make one report of each row; rows are (r,), columns are the categories, in their order.

    Args:
        categories: Names, shape (k,).
        means: Mean losses, shape (r, k).
        deviations: Standard deviations of the single losses, shape (r, k) or what broadcasts to it.
        counts: Number of losses, shape (r, k); a report leaves out a category without any.
        reporters: Who sent each row, shape (r,); None: one for all.
    """
    means, deviations, counts = np.broadcast_arrays(np.atleast_2d(means), deviations, counts)
    who = np.zeros(len(means), dtype=np.int64) if reporters is None else np.asarray(reporters, dtype=np.int64)
    rows, columns = np.nonzero(counts > 0)
    mean, deviation, count = (array[rows, columns].astype(np.float64) for array in (means, deviations, counts))
    with np.errstate(over="ignore"):
        squares = count * (mean**2 + deviation**2)
    order = np.argsort(columns, kind="stable")
    cells = Cells(columns[order], who[rows][order], (count * mean)[order], count[order], squares[order])
    names = tuple(f"rank-{number}" for number in range(int(who.max(initial=0)) + 1))
    return LossReports(tuple(categories), names, cells, used=len(means))


def loss_sums(losses: LossReports) -> list[float]:
    """Return the sum of all losses of each category, in their order."""
    found: list[float] = add_up(losses.cells.category, losses.cells.sum, len(losses.categories)).tolist()
    return found


class Dataset:
    """A dataset whose weights a rule moves without any guard but its own.

    Args:
        rule: The rule's name.
        prior: Category -> share; these are the weights at first.
        parameters: Its parameters.
    """

    def __init__(self, rule: str, prior: Mapping[str, float], **parameters: Any) -> None:
        self.rule = RULES[rule]
        self.parameters = self.rule.check(parameters)
        free = {"mode": "on", "strength": 0, "most_change": None}
        self.settings = read_settings(json.dumps({"rule": rule, "parameters": parameters, **free}).encode())
        self.categories = tuple(sorted(prior))
        self.prior = np.array([prior[name] for name in self.categories]) / sum(prior.values())
        self.weights = self.prior
        self.memory: Mapping[str, Any] = {}
        self.drawn = np.zeros(len(self.categories), dtype=np.int64)
        self.moves = 0

    def step(self, losses: LossReports | None, draws: int = 1000) -> Proposal:
        """Draw, hand in reports, and take over what may move; the evidence says what did."""
        self.drawn = self.drawn + np.round(draws * self.weights).astype(np.int64)
        ready = np.full(len(self.categories), 100)
        drawn = self.drawn
        inputs = Inputs(None, 0, self.categories, self.weights, self.prior, ready, None, {}, drawn, losses)
        proposal = self.rule.propose(self.parameters, inputs, self.memory)
        self.memory, before = proposal.memory, self.weights
        if proposal.target is not None and proposal.gate is not None:
            guarded = guard(
                self.settings,
                self.categories,
                proposal.target,
                weights=self.weights,
                prior=self.prior,
                gate=proposal.gate,
            )
            self.weights = guarded.shares
            proposal = proposal._replace(evidence=proposal.gate.tell(before, self.weights, LONGEST_EVIDENCE))
        self.moves += self.weights is not before
        return proposal

    def hear(self, *means: float, deviation: float = 0.01, reports: int = 10, draws: int = 1000) -> Proposal:
        """Hand in equal reports of 10 losses a category; NaN: a category has none."""
        values = np.tile(np.array(means, dtype=np.float64), (reports, 1))
        counts = np.where(np.isnan(values), 0, 10)
        return self.step(loss_reports(self.categories, np.nan_to_num(values), np.array(deviation), counts), draws)

    def share(self, category: str) -> float:
        """Return the share of a category in force."""
        return float(self.weights[self.categories.index(category)])
