"""A folder of audio, and what PostgreSQL knows of it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.library import session

Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder for audio files; empty."""
    folder = tmp_path / "audio"
    folder.mkdir()
    return folder


@pytest.fixture
def rows(database_url: str, library: Path) -> Rows:
    """Read columns of all chunks; paths are shown from the folder on."""

    async def read(
        columns: str = "path, category, status::text, duration_s, start_s, split, error",
    ) -> list[tuple[Any, ...]]:
        async with session(database_url) as connection:
            found = await connection.fetch(f"select {columns} from audio_chunks order by path, start_s, id")  # noqa: S608 - our own
        return [
            tuple(str(cell).removeprefix(f"{library}/") if name == "path" else cell for name, cell in row.items())
            for row in found
        ]

    return read
