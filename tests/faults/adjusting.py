"""What trials of rules that move weights have in common: a rule's steps, the history, and workers that are killed."""

import random
from collections.abc import Iterable, Mapping
from typing import Any

from tests.faults.trial import Trial
from worker.core.adjust.state import State, read_state

WORKERS = ("w-1", "w-2", "w-3", "w-4")


def state_of(trial: Trial) -> State | None:
    """Read how far the rule of the global weights is; None: it has not begun."""
    text = trial.client.hget(trial.keys.adjust_state, "")
    return None if text is None else read_state(text)


def steps_of(trial: Trial) -> int:
    """Count the steps of the rule of the global weights."""
    state = state_of(trial)
    return 0 if state is None else state.step


def texts_of(entries: Iterable[Any]) -> list[Mapping[str, str]]:
    """Return the fields of stream entries as text."""
    return [{name.decode(): value.decode() for name, value in fields.items()} for _, fields in entries]


def history_of(trial: Trial) -> list[Mapping[str, str]]:
    """Read the changes of weights, the oldest first."""
    return texts_of(trial.client.xrange(trial.keys.history))


def kill_one(trial: Trial, chance: random.Random) -> None:
    """Kill some worker, and start it again."""
    victim = chance.choice(trial.workers)
    victim.kill()
    victim.start()
