"""Ask for several samples in one step."""

from collections.abc import Callable, Sequence
from functools import partial

from worker.client.arguments import Checked
from worker.client.requester import Outcome, Requester

Numbered = tuple[int, Checked]


def ask_all(requester: Requester, requests: Sequence[Numbered], arrive: Callable[[int, Outcome], None]) -> None:
    """Ask for several samples in one step.

    Args:
        requester: The requester of the client.
        requests: Number and arguments of each request.
        arrive: Called with the number and the outcome of each request.
    """
    for number, checked in requests:
        requester.ask(checked, partial(arrive, number))
