"""The demo: real servers and workers, and a mix that follows the weights while you watch."""

from functools import partial

import anyio
from rich.console import Console

from worker.demo.show import show


def run_demo(*, seconds: float, chunks: int, has_desk: bool = False) -> int:
    """Run the demo on this terminal.

    Args:
        seconds: How long the training jobs ask for samples.
        chunks: Number of chunks in the library.
        has_desk: Whether a desk runs as well, opened in a browser.

    Returns:
        The exit status: 0 if all checks of the demo hold, else 1.

    Raises:
        SettingsError: The embedded servers are not installed.
    """
    return 0 if anyio.run(partial(show, seconds, chunks, Console(), has_desk=has_desk)) else 1
