"""The calls of both clients that look at weights and change them.

What they do is imported with the first of them: most training jobs only ask for samples.
"""

import warnings
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from worker.client.address import Address
from worker.client.arguments import check_count
from worker.client.background import Background
from worker.client.requester import Requester
from worker.client.weights import (
    Preset,
    RemoveOptions,
    RollBackOptions,
    SetOptions,
    Values,
    WeightsChange,
    WeightsInForce,
    check_options,
)
from worker.core.keys import Keys
from worker.errors import WeightsWarning

if TYPE_CHECKING:
    from worker.client.weights_work import WeightsWork

_LONGEST_S = 60.0
_CALLER = 3

T = TypeVar("T")
Call = Callable[["WeightsWork"], Coroutine[Any, Any, T]]


class AsyncWeightsCalls:
    """Weights, awaited; see `WeightsCalls`."""

    _address: Address

    def start(self) -> Requester:
        """Return the requester of the running event loop."""
        raise NotImplementedError

    async def weights(self, dataset: str | None = None) -> WeightsInForce:
        """Return the weights in force; see `WeightsCalls.weights`."""
        return await self._work.show(dataset)

    async def set_weights(
        self, weights: Values, dataset: str | None = None, **options: Unpack[SetOptions]
    ) -> WeightsChange:
        """Set the weights; see `WeightsCalls.set_weights`."""
        wanted = check_options(options, SetOptions)
        return _warned(await self._work.set(weights, dataset, wanted))

    async def remove_weights(self, dataset: str | None = None, **options: Unpack[RemoveOptions]) -> WeightsChange:
        """Remove the weights that were set; see `WeightsCalls.remove_weights`."""
        return _warned(await self._work.remove(dataset, check_options(options, RemoveOptions)))

    async def roll_back_weights(
        self, version: str | None = None, dataset: str | None = None, **options: Unpack[RollBackOptions]
    ) -> WeightsChange:
        """Undo the last change; see `WeightsCalls.roll_back_weights`."""
        return _warned(await self._work.roll_back(version, dataset, check_options(options, RollBackOptions)))

    async def weights_history(
        self, dataset: str | None = None, *, preset: str | None = None, count: int = 20
    ) -> list[WeightsChange]:
        """Return the newest changes; see `WeightsCalls.weights_history`."""
        return await self._work.history(dataset, preset, check_count("count", count))

    async def presets(self) -> dict[str, Preset]:
        """Return all presets by name; see `WeightsCalls.presets`."""
        return await self._work.presets()

    @property
    def _work(self) -> "WeightsWork":
        return _work_of(self.start(), self._address)


class WeightsCalls:
    """Weights, as every training job, notebook and back end may see and change them."""

    _address: Address

    def start(self) -> Background:
        """Return the thread of this process."""
        raise NotImplementedError

    def weights(self, dataset: str | None = None) -> WeightsInForce:
        """Return the weights that workers draw under, who set them, when and why.

        Args:
            dataset: Whose weights; None: the global ones. A dataset without weights of its own has the global ones.

        Raises:
            RedisError: Redis did not answer, or refused.
            WeightsError: The name is not accepted.
        """
        return self._run(lambda work: work.show(dataset))

    def set_weights(self, weights: Values, dataset: str | None = None, **options: Unpack[SetOptions]) -> WeightsChange:
        """Set the weights: they are in force for the next request, and the change is in the history.

        Args:
            weights: Category -> finite number >= 0, not all zero. They need not sum to 1; what is not given weighs 0.
            dataset: Whose weights; None: the global ones.
            options: See `SetOptions`.

        Returns:
            What came of it. A `WeightsWarning` names categories without READY chunks, and workers that are late.

        Raises:
            RedisError: Redis did not answer, or refused.
            StaleError: Another version than `if_version` is in force.
            TypeError: An option is not known, or of another type.
            WeightsError: The weights, or another value, are not accepted. Nothing was stored.
        """
        wanted = check_options(options, SetOptions)
        return _warned(self._run(lambda work: work.set(weights, dataset, wanted), wanted.wait_s))

    def remove_weights(self, dataset: str | None = None, **options: Unpack[RemoveOptions]) -> WeightsChange:
        """Remove the weights that were set: then the defaults hold, or for a dataset the global weights.

        Args:
            dataset: Whose weights; None: the global ones.
            options: See `RemoveOptions`.

        Raises:
            WeightsError: A value is not accepted; or any other error of `set_weights`.
        """
        wanted = check_options(options, RemoveOptions)
        return _warned(self._run(lambda work: work.remove(dataset, wanted), wanted.wait_s))

    def roll_back_weights(
        self, version: str | None = None, dataset: str | None = None, **options: Unpack[RollBackOptions]
    ) -> WeightsChange:
        """Undo the last change that is not undone yet, or go back to a version of the history.

        Args:
            version: The version; None: undo.
            dataset: Whose weights; None: the global ones.
            options: See `RollBackOptions`.

        Raises:
            WeightsError: The history has nothing to go back to; or any other error of `set_weights`.
        """
        wanted = check_options(options, RollBackOptions)
        return _warned(self._run(lambda work: work.roll_back(version, dataset, wanted), wanted.wait_s))

    def weights_history(
        self, dataset: str | None = None, *, preset: str | None = None, count: int = 20
    ) -> list[WeightsChange]:
        """Return the newest changes of weights, the newest first.

        Args:
            dataset: Of this dataset alone.
            preset: Of this preset alone; without either, of all.
            count: At most so many.

        Raises:
            RedisError: Redis did not answer, or refused.
            WeightsError: A name is not accepted.
        """
        most = check_count("count", count)
        return self._run(lambda work: work.history(dataset, preset, most))

    def presets(self) -> dict[str, Preset]:
        """Return all presets by name: those that are built in, and those that were stored.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        return self._run(lambda work: work.presets())

    def _run(self, call: Call[T], wait_s: float | None = None) -> T:
        background = self.start()
        work = _work_of(background.requester, self._address)
        return background.call(call(work), (wait_s or 0.0) + _LONGEST_S, "what the weights are")


def _work_of(requester: Requester, address: Address) -> "WeightsWork":
    from worker.client.weights_work import WeightsWork  # noqa: PLC0415 - see the top of this module

    return WeightsWork(requester.client, Keys(address.prefix))


def _warned(change: WeightsChange) -> WeightsChange:
    """Warn the caller's caller of what is not as wanted."""
    for sentence in change.warnings:
        warnings.warn(sentence, WeightsWarning, stacklevel=_CALLER)
    return change
