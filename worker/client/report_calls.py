"""The calls of both clients that report losses by category, for rules that move weights."""

import numbers
import os
import socket
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack, get_type_hints

from worker.client.address import Address
from worker.client.arguments import check_whole
from worker.client.background import Background
from worker.client.requester import Requester
from worker.client.weights import check_text
from worker.core.wire.feedback import Kind, encode_report, read_report
from worker.errors import RequestError

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

Losses = Mapping[str, Any]
"""Category -> a mapping with the `sum` of some losses, their `count` and the sum of their `squares`; or one loss."""

_LONGEST_S: Final = 60.0
_SHOWN: Final = 64
_LONGEST_NAME: Final = 128


class ReportOptions(TypedDict, total=False):
    """The keyword arguments of `report` beside `losses`.

    Attributes:
        dataset: The dataset that was asked for; default: none, the global weights.
        session: The training session.
        weights_version: The `weights_version` of the samples that the losses are of. Reports of older weights than
            those that a rule stored last are not used.
        step: The step of the training.
        kind: `train`, `eval` or `score`: what the losses are of. Default: `train`.
        reporter: Who measured them. Where three report or more, one that is wrong is outvoted. Default: the name of the
            client, or else the machine and the process.
    """

    dataset: str | None
    session: str | None
    weights_version: str | None
    step: int | None
    kind: Kind
    reporter: str | None


class AsyncReportCalls:
    """Reports of losses, awaited; see `ReportCalls`."""

    _address: Address

    def start(self) -> Requester:
        """Return the requester of the running event loop."""
        raise NotImplementedError

    async def report(self, losses: Losses, **options: Unpack[ReportOptions]) -> str:
        """Report losses; see `ReportCalls.report`."""
        return await self.submit_report(losses, **options)

    def submit_report(self, losses: Losses, **options: Unpack[ReportOptions]) -> "asyncio.Future[str]":
        """Report losses, and return the future of the report's entry; see `ReportCalls.submit_report`."""
        return self.start().reports.submit(check_report(losses, options, self._address.name))


class ReportCalls:
    """Reports of losses, as every training job may send them."""

    _address: Address

    def start(self) -> Background:
        """Return the thread of this process."""
        raise NotImplementedError

    def report(self, losses: Losses, **options: Unpack[ReportOptions]) -> str:
        """Report losses by category, and wait until Redis has the report. It is sent once.

        Args:
            losses: Category -> a mapping with the sum of some losses, their count and the sum of their squares; or a
                plain number, which counts as one loss.
            options: See `ReportOptions`.

        Returns:
            Id of the report's entry in its stream.

        Raises:
            RefusedError: Redis refused it, and will again.
            RedisError: Redis did not answer.
            SampleTimeoutError: Redis did not answer in time; it may have the report, or get it still.
            ClientClosedError: The client is closed.
            TypeError: An argument is not known, or of another type.
            ValueError: A value is not accepted: a loss is NaN, say.
        """
        words = check_report(losses, options, self._address.name)
        background = self.start()
        sending = background.requester.reports.send(words)
        return background.call(sending, _LONGEST_S, "whether it has the report")

    def submit_report(self, losses: Losses, **options: Unpack[ReportOptions]) -> "Future[str]":
        """Report losses, and return the future of the report's entry, which raises what `report` raises.

        Args:
            losses: See `report`.
            options: See `ReportOptions`.
        """
        words = check_report(losses, options, self._address.name)
        background = self.start()
        return background.submit(background.requester.reports.send(words))


def check_report(losses: Losses, options: Mapping[str, Any], name: str | None) -> tuple[str | int, ...]:
    """Check a report as its readers will.

    Args:
        losses: See `ReportCalls.report`.
        options: See `ReportOptions`.
        name: Name of the client.

    Returns:
        Fields and values in turn.

    Raises:
        TypeError: An argument is not known, or of another type.
        ValueError: A value is not accepted.
    """
    if unknown := options.keys() - _OPTIONS:
        raise TypeError(f"{min(unknown)} is not an argument; accepted: {', '.join(_OPTIONS)}")
    fields: dict[str, str | int | None] = {one: check_text(one, options.get(one)) for one in _OPTIONS if one != _STEP}
    fields[_STEP] = check_whole(_STEP, options.get(_STEP))
    fields["reporter"] = fields["reporter"] or name or _here()
    words = encode_report({category: _plain(category, loss) for category, loss in _pairs(losses)}, **fields)
    report = read_report("0-0", [str(word).encode() for word in words])
    if isinstance(report, RequestError):
        raise ValueError(report.message)  # noqa: TRY004 - the type is right, the value is not
    return words


def _pairs(losses: object) -> Iterable[tuple[Any, Any]]:
    """Return the pairs of a mapping.

    Raises:
        TypeError: It is none.
    """
    if isinstance(losses, Mapping):
        return losses.items()
    raise TypeError(f"losses is {ascii(losses)[:_SHOWN]}; accepted: a mapping, such as {{'voice': 1.2}}")


def _plain(category: object, loss: Any) -> object:
    """Return a loss with plain numbers for those of NumPy and PyTorch.

    Raises:
        TypeError: It is no loss.
    """
    if isinstance(loss, Mapping):
        return {part: _plain(category, value) for part, value in loss.items()}
    if isinstance(loss, bool | int | float):
        return loss
    if isinstance(loss, numbers.Integral):
        return int(loss)
    if isinstance(loss, numbers.Real):
        return float(loss)
    if getattr(loss, "ndim", None) == 0:  # a tensor of one number
        return loss.item()
    kinds = "a number, or a mapping with sum and count"
    raise TypeError(f"the loss of {ascii(category)[:_SHOWN]} is {ascii(loss)[:_SHOWN]}; accepted: {kinds}")


def _here() -> str:
    """Name this process."""
    process = f":{os.getpid()}"
    return ascii(socket.gethostname())[1:-1][: _LONGEST_NAME - len(process)] + process


_STEP: Final = "step"
_OPTIONS: Final = tuple(get_type_hints(ReportOptions))
