"""The live picture on a terminal."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from worker.cli.printing import State
from worker.cli.watch.picture import Line, Size

_STYLES: Final[Mapping[State | None, str]] = {
    None: "",
    "dim": "dim",
    "fits": "green",
    "waits": "yellow",
    "wrong": "red",
}


@contextmanager
def shown_on(draw: Callable[[Size], list[Line]]) -> Iterator[Callable[[], None]]:
    """Show a picture on the whole terminal during the block; what stood there before comes back.

    Args:
        draw: Draws it for some room.

    Yields:
        What draws it again.
    """
    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, screen=True, vertical_overflow="crop") as live:

        def show() -> None:
            size = Size(console.width, console.height, is_plain=not _can_show(console.encoding))
            live.update(Text("\n").join(map(_text, draw(size))), refresh=True)

        yield show


def _text(line: Line) -> Text:
    return Text.assemble(*((text, _STYLES[state]) for text, state in line), no_wrap=True, end="")


def _can_show(encoding: str) -> bool:
    """Return whether a terminal's encoding has bars."""
    try:
        "█│▁·…".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
