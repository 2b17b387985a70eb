"""The look of pictures, and their rendering to bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from worker.core.redaction import escape

INK, FAINT, RULE = "#22272e", "#6b7683", "#d9dee4"
PALETTE = (
    "#3f76b5",
    "#e49b3f",
    "#57a06e",
    "#c75d56",
    "#8d72b5",
    "#d9bd4a",
    "#5fb3c6",
    "#cb86a8",
    "#917a64",
    "#9aa5b1",
)
OTHERS = "#c4cbd3"
MONO = "DejaVu Sans Mono"
PALE = 0.3
"""Opacity of an area under a line of the same colour; it shows whatever is behind, light or dark."""
DAY_S = 86_400.0
"""A day in seconds: matplotlib counts time in days."""

_DPI = 150
_NO_POINT = 1000
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "text.color": INK,
    "text.parse_math": False,  # names are names, whatever dollar signs they have
    "axes.edgecolor": RULE,
    "axes.labelcolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": FAINT,
    "ytick.labelcolor": FAINT,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text, to be searched and read aloud
    "svg.hashsalt": "sampling-worker",
}


class Sheet:
    """A figure on which panels are placed in inches from its upper left corner.

    Args:
        width: Width of the figure, inches.
        height: Height of the figure, inches.
    """

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure((width, height), facecolor="white")
        self._width = width
        self._height = height

    def place(self, left: float, top: float, width: float, height: float) -> Axes:
        """Add axes at a place, in inches."""
        bottom = self._height - top - height
        return self.figure.add_axes(
            (left / self._width, bottom / self._height, width / self._width, height / self._height)
        )

    def write(self, left: float, top: float, text: str, **style: Any) -> None:
        """Write a line of text below a point; its control characters are escaped.

        Args:
            left: Inches from the left.
            top: Inches from the top.
            text: The line.
            style: Properties of `matplotlib.text.Text`.
        """
        self.figure.text(left / self._width, 1.0 - top / self._height, escape(text), va="top", **style)

    def render(self, ending: str) -> bytes:
        """Render the figure.

        Args:
            ending: Ending of the file's name, such as `.png`.
        """
        kind, into = ending.lower().removeprefix("."), BytesIO()
        self.figure.savefig(into, format=kind, dpi=_DPI, metadata={"Date": None} if kind == "svg" else None)
        drawn = into.getvalue()
        # Without this, a browser makes one blank of several, and columns of figures do not line up.
        return drawn.replace(b'<style type="text/css">', b'<style type="text/css">text{white-space:pre}', 1)


@contextmanager
def styled() -> Iterator[None]:
    """Draw in our style, whatever the user's matplotlib settings say."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def axis_number(value: float, _place: int | None = None) -> str:
    """Write a number for an axis: with thousands separators and without trailing zeros."""
    return f"{value:,.0f}" if float(value).is_integer() or value >= _NO_POINT else f"{value:.4g}"


def shorten(text: str, most: int) -> str:
    """Escape control characters, which no picture may hold, and cut text to at most `most` characters."""
    text = escape(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def darker(color: str) -> str:
    """Darken a colour, for a line on an area of that colour."""
    red, green, blue = to_rgb(color)
    return to_hex((red * 0.55, green * 0.55, blue * 0.55))
