"""What verbs share: settings, connections that are closed again, and printing."""

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

import anyio
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.adapters.redis.client import Client, connect
from worker.cli.words import Share, share_text
from worker.core.keys import NAME_PATTERN, Keys
from worker.core.redaction import escape
from worker.errors import SettingsError
from worker.settings.model import Need, Settings, load_settings

_TIMEOUT_S = 5.0
_REDIS: Final[tuple[Need, ...]] = ("redis",)
T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Dataset = Annotated[str | None, typer.Option(help="A dataset's own weights instead of the global ones.")]


@dataclass(frozen=True, slots=True)
class Desk:
    """Hold what a verb needs to talk to Redis."""

    settings: Settings
    client: Client
    keys: Keys


@asynccontextmanager
async def open_desk(need: Collection[Need] = _REDIS) -> AsyncIterator[Desk]:
    """Connect to Redis as the settings say.

    Args:
        need: Servers whose URL has to be given.

    Raises:
        SettingsError: Something is missing or wrong.
    """
    settings = load_settings(need=need)
    client = connect(settings.redis_url.get_secret_value(), timeout_s=_TIMEOUT_S)
    try:
        yield Desk(settings, client, Keys(settings.prefix))
    finally:
        await client.aclose()


def run_async(work: Callable[[], Awaitable[T]]) -> T:
    """Run a verb's coroutine."""
    return anyio.run(work)


def check_dataset(dataset: str | None) -> str | None:
    """Refuse what is not a dataset name.

    Raises:
        SettingsError: The sentence says what is accepted.
    """
    if dataset is not None and not NAME_PATTERN.fullmatch(dataset):
        raise SettingsError(f"--dataset {dataset!r} is not accepted; accepted: {NAME_PATTERN.pattern}")
    return dataset


def print_json(value: object) -> None:
    """Print one JSON document on a line, at once."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table: text to the left, numbers to the right; where it has no room, a block of lines for each row."""
    console, table = Console(), Table()
    cells = [[escape(_shown(cell)) for cell in row] for row in rows]
    for i, column in enumerate(columns):
        numeric = bool(rows) and all(not isinstance(row[i], str) or row[i] == "" for row in rows)
        table.add_column(column, justify="right" if numeric else "left")
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(escape(title), highlight=False, soft_wrap=True, markup=False)
    if _least_width(columns, cells) <= console.width:
        console.print(table)
        return
    for first, *others in cells:
        block = (f"  {name}: {cell}" for name, cell in zip(columns[1:], others, strict=True) if cell)
        console.print("\n".join((first, *block)), highlight=False, soft_wrap=True, markup=False)


def _least_width(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Tell how wide a table is that breaks no word."""
    words = ([word for row in (columns, *rows) for word in row[i].split()] for i in range(len(columns)))
    return 1 + sum(3 + max(map(cell_len, own), default=0) for own in words)  # borders and blanks


def print_text(text: str) -> None:
    """Print a line; what Redis and PostgreSQL hold may have been written by anybody."""
    sys.stdout.write(f"{escape(text)}\n")
    sys.stdout.flush()


def shares_text(shares: Mapping[str, float]) -> str:
    """Write weights for people."""
    return "  ".join(f"{name} {share_text(share)}" for name, share in shares.items())


def _shown(cell: object) -> str:
    if isinstance(cell, Share):
        return share_text(cell)
    if isinstance(cell, float):
        return f"{cell:,.4f}".rstrip("0").rstrip(".")
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
