"""A folder that is followed: what is dropped into it is registered, and what goes is marked."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.admin.scan.conftest import Rows
from tests.support.audio import audio_bytes, write_audio
from tests.support.waiting import wait_until
from worker.admin.scan import Followed, ScanReport, watch_folder
from worker.core.catalog.scan import Rules, ScanOptions, Segments
from worker.errors import ScanError

STATE = "path, category, status::text, error"
LIMIT_S = 60


@asynccontextmanager
async def followed(url: str, folder: Path, options: ScanOptions = ScanOptions()) -> AsyncIterator[list[object]]:  # noqa: B008 - frozen
    """Follow a folder for a block, which begins when the first scan has been reported."""
    told: list[object] = []
    task = asyncio.create_task(watch_folder(url, folder, options, told.append))
    try:
        await wait_until(lambda: told or task.done(), timeout_s=LIMIT_S, what="the first scan was told of")
        yield told
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def until(rows: Rows, wanted: Sequence[tuple[object, ...]]) -> Callable[[], object]:
    async def is_so() -> bool:
        return await rows(STATE) == list(wanted)

    return is_so


async def test_the_library_follows_the_folder(database_url: str, library: Path, rows: Rows) -> None:
    write_audio(library / "voice/a.wav")
    async with followed(database_url, library) as told:

        async def becomes(*wanted: tuple[object, ...]) -> None:
            await wait_until(until(rows, [*wanted]), timeout_s=LIMIT_S, what=f"there was {wanted}")

        first = ("voice/a.wav", "voice", "READY", None)
        assert await rows(STATE) == [first]
        write_audio(library / "New Music/deep/b.flac")  # with its folders
        (library / "voice/notes.txt").write_text("x")
        (library / "voice/.hidden.wav").write_text("x")
        await becomes(("New Music/deep/b.flac", "new-music", "READY", None), first)
        (library / "New Music").rename(library / "noise")
        gone = ("New Music/deep/b.flac", "new-music", "FAILED", "file is gone")
        await becomes(gone, ("noise/deep/b.flac", "noise", "READY", None), first)
        (library / "voice/a.wav").write_bytes(b"x")
        await becomes(
            gone, ("noise/deep/b.flac", "noise", "READY", None), (*first[:2], "FAILED", "Format not recognised")
        )
        write_audio(library / "voice/a.wav")
        shutil.rmtree(library / "noise")
        await becomes(gone, ("noise/deep/b.flac", "noise", "FAILED", "file is gone"), first)
        assert isinstance(told[0], ScanReport)
        assert all(isinstance(one, Followed) for one in told[1:])


async def test_a_file_is_registered_when_it_is_whole(database_url: str, library: Path, rows: Rows) -> None:
    whole = audio_bytes(".wav", 2.0)
    options = ScanOptions(Rules(category="voice", splits=(("val", 1.0),)), Segments(1.0))
    async with followed(database_url, library, options):
        with (library / "a.wav").open("wb", buffering=0) as file:
            for start in range(0, len(whole), len(whole) // 12):
                file.write(whole[start : start + len(whole) // 12])
                assert await rows() == []
                await asyncio.sleep(0.1)  # how a slow writer writes
        await wait_until(rows, timeout_s=LIMIT_S, what="the file was registered")
        assert await rows() == [
            ("a.wav", "voice", "READY", 1.0, 0.0, "val", None),
            ("a.wav", "voice", "READY", 1.0, 1.0, "val", None),
        ]


async def test_what_nobody_told_of_is_found_by_a_look(
    database_url: str, library: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the notifications are of another folder, so that all of them are lost."""
    elsewhere = library.parent / "elsewhere"
    write_audio(elsewhere / "a.wav")
    (library / "voice").mkdir()
    monkeypatch.setattr("worker.admin.scan.watching.LOOK_EVERY_S", 0.5)
    async with followed(database_url, library):
        (library / "voice/link.wav").symlink_to(elsewhere / "a.wav")
        await wait_until(
            until(rows, [("voice/link.wav", "voice", "READY", None)]), timeout_s=LIMIT_S, what="the link was found"
        )
        (elsewhere / "a.wav").unlink()
        wanted = [("voice/link.wav", "voice", "FAILED", "the link leads nowhere")]
        await wait_until(until(rows, wanted), timeout_s=LIMIT_S, what="its end was found")


async def test_a_folder_that_goes_ends_it_and_its_chunks_stay(database_url: str, library: Path, rows: Rows) -> None:
    write_audio(library / "voice/a.wav")
    told: list[object] = []
    task = asyncio.create_task(watch_folder(database_url, library, ScanOptions(), told.append))
    await wait_until(lambda: told or task.done(), timeout_s=LIMIT_S, what="the first scan was told of")
    shutil.move(library, library.parent / "elsewhere")
    with pytest.raises(ScanError, match="is gone, or another one; its chunks stay as they are"):
        await asyncio.wait_for(task, LIMIT_S)
    assert await rows("status::text") == [("READY",)]
