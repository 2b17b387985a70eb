"""The demo: real servers and workers, and a mix that follows the weights while you watch."""

import signal

import anyio
from rich.console import Console

from worker.demo.show import show
from worker.errors import SamplingError


def run_demo(*, seconds: float, chunks: int) -> int:
    """Run the demo on this terminal.

    Args:
        seconds: How long the training jobs ask for samples.
        chunks: Number of chunks in the library.

    Returns:
        The exit status: 0 if all checks of the demo hold, else 1.

    Raises:
        SettingsError: The embedded servers are not installed.
        KeyboardInterrupt: Ctrl-C ended it.
    """
    holds = anyio.run(_show_until_interrupted, seconds, chunks)
    if holds is None:
        raise KeyboardInterrupt
    return 0 if holds else 1


async def _show_until_interrupted(seconds: float, chunks: int) -> bool | None:
    """Return whether all checks hold; None if Ctrl-C came first.

    A cancelled scope cancels again and again. The single cancellation that asyncio makes of Ctrl-C may be lost.
    """
    holds: bool | None = None
    problem: SamplingError | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_on_interrupt, tasks.cancel_scope)
        try:
            holds = await show(seconds, chunks, Console())
        except SamplingError as error:
            problem = error  # raised by itself, and not in a group
        tasks.cancel_scope.cancel()
    if problem is not None:
        raise problem
    return holds


async def _cancel_on_interrupt(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT) as interrupts:
        async for _ in interrupts:
            scope.cancel()
            return
