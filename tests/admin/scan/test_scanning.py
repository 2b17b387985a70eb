"""A scan registers what lies in a folder, renews what changed, marks what is gone, and touches nothing else."""

import asyncio
import os
from collections import Counter
from pathlib import Path
from unicodedata import normalize

import pytest

from tests.admin.scan.conftest import Rows
from tests.support.audio import write_audio, write_long_wav
from tests.support.library import session
from worker.adapters.postgres.chunks import import_chunks
from worker.adapters.postgres.scanned import Scope, register_scanned
from worker.admin.scan import scan_folder
from worker.core.catalog.manifest import ChunkRow
from worker.core.catalog.scan import Rules, ScanOptions, Segments
from worker.errors import ScanError

STATE = "path, status::text, error"
PRUNED = ScanOptions(prune=True)


async def test_files_become_chunks(database_url: str, library: Path, rows: Rows) -> None:
    for name in ("voice/a.wav", "voice/deep/b.flac", "Conference Calls/c.ogg"):
        write_audio(library / name)
    (library / "voice/empty.wav").write_bytes(b"")
    (library / "voice/notes.txt").write_text("x")
    write_audio(library / "top.wav")
    report = await scan_folder(database_url, library)
    assert await rows() == [
        ("Conference Calls/c.ogg", "conference-calls", "READY", 0.25, None, None, None),
        ("voice/a.wav", "voice", "READY", 0.25, None, None, None),
        ("voice/deep/b.flac", "voice", "READY", 0.25, None, None, None),
        ("voice/empty.wav", "voice", "FAILED", None, None, None, "it is empty: 0 bytes"),
    ]
    found = report.found
    assert (found.files, report.chunks, found.failed.count, found.unplaced.count) == (4, 3, 1, 1)
    assert (found.others, found.sentences) == ({".txt": 1}, ["'Conference Calls' is category conference-calls"])
    assert {name: (one.files, one.chunks) for name, one in found.categories.items()} == {
        "conference-calls": (1, 1),
        "voice": (3, 2),
    }


async def test_a_scan_again_renews_and_marks_what_is_gone(database_url: str, library: Path, rows: Rows) -> None:
    for name in ("voice/same.wav", "voice/longer.wav", "voice/gone.wav", "voice/moved.wav", "voice/broken.wav"):
        write_audio(library / name)
    await scan_folder(database_url, library)
    ids: dict[str, int] = dict(await rows("path, id"))
    unchanged = await scan_folder(database_url, library)
    assert (unchanged.registered.imported.unchanged, unchanged.registered.gone) == (5, 0)
    write_audio(library / "voice/longer.wav", 0.5)
    (library / "voice/gone.wav").unlink()
    (library / "music").mkdir()
    (library / "voice/moved.wav").rename(library / "music/moved.wav")
    (library / "voice/broken.wav").write_bytes(b"x")
    write_audio(library / "voice/new.wav")
    report = await scan_folder(database_url, library)
    imported = report.registered.imported
    assert (imported.inserted, imported.updated, imported.unchanged, report.registered.gone) == (2, 2, 1, 2)
    assert await rows("path, category, status::text, duration_s, error") == [
        ("music/moved.wav", "music", "READY", 0.25, None),
        ("voice/broken.wav", "voice", "FAILED", 0.25, "Format not recognised"),
        ("voice/gone.wav", "voice", "FAILED", 0.25, "file is gone"),
        ("voice/longer.wav", "voice", "READY", 0.5, None),
        ("voice/moved.wav", "voice", "FAILED", 0.25, "file is gone"),
        ("voice/new.wav", "voice", "READY", 0.25, None),
        ("voice/same.wav", "voice", "READY", 0.25, None),
    ]
    write_audio(library / "voice/gone.wav")
    write_audio(library / "voice/broken.wav")
    back = await scan_folder(database_url, library, PRUNED)
    assert (back.registered.gone, back.registered.imported.updated) == (1, 2)
    kept: dict[str, int] = dict(await rows("path, id"))
    assert {path: ids[path] for path in ids if path != "voice/moved.wav"}.items() <= kept.items()
    assert {status for _, status, _ in await rows(STATE)} == {"READY"}


async def test_chunks_elsewhere_are_not_touched(database_url: str, library: Path, tmp_path: Path, rows: Rows) -> None:
    write_audio(library / "voice/a.wav")
    others = [f"{library}x/voice/a.wav", f"{tmp_path}/other.wav", f"{library}", "relative.wav", f"{library}_/%/a.wav"]
    await import_chunks(database_url, [ChunkRow(path, "voice") for path in others])
    odd = tmp_path / "a%o_d*o\\x"
    write_audio(odd / "voice/a.wav")
    await import_chunks(database_url, [ChunkRow(f"{tmp_path}/aXo_d*o\\x/voice/a.wav", "voice")])
    for folder in (library, odd):
        assert (await scan_folder(database_url, folder, PRUNED)).registered.gone == 0
    assert len(await rows()) == 8
    assert {status for _, status, _ in await rows(STATE)} == {"READY"}


async def test_what_somebody_else_decided_stays(database_url: str, library: Path, rows: Rows) -> None:
    paths = {
        status: write_audio(library / f"voice/{status}.wav") for status in ("FAILED", "PENDING", "PROCESSING", "READY")
    }
    await import_chunks(database_url, [ChunkRow(str(path), "noise", status) for status, path in paths.items()])
    report = await scan_folder(database_url, library)
    assert report.registered.kept == 3
    assert await rows("category, status::text, duration_s, error") == [
        ("voice", status, 0.25, None) for status in paths
    ]


async def test_long_files_are_cut_and_cut_anew(database_url: str, library: Path, rows: Rows) -> None:
    write_audio(library / "voice/a.wav", 2.5)
    write_audio(library / "voice/short.wav", 0.25)
    await scan_folder(database_url, library)
    report = await scan_folder(database_url, library, ScanOptions(segments=Segments(1.0), prune=True))
    assert (report.registered.imported.inserted, report.registered.gone) == (4, 2)
    assert await rows("path, start_s, duration_s") == [
        ("voice/a.wav", 0.0, 1.0),
        ("voice/a.wav", 1.0, 1.0),
        ("voice/a.wav", 2.0, 0.5),
        ("voice/short.wav", 0.0, 0.25),
    ]
    await scan_folder(database_url, library, ScanOptions(segments=Segments(2.0, shortest_s=1.0)))
    assert await rows("path, start_s, duration_s, status::text, error") == [
        ("voice/a.wav", 0.0, 2.0, "READY", None),
        ("voice/a.wav", 1.0, 1.0, "FAILED", "segment is gone"),
        ("voice/a.wav", 2.0, 0.5, "FAILED", "segment is gone"),
        ("voice/short.wav", 0.0, 0.25, "FAILED", "file is gone"),
    ]


async def test_thirty_hours_are_cut_into_segments(database_url: str, library: Path, rows: Rows) -> None:
    write_long_wav(library / "long.wav", 30)
    rules = Rules(category="documentary")
    report = await scan_folder(database_url, library, ScanOptions(rules, Segments(10.0)))
    assert report.chunks == 10_800
    assert await rows("start_s, duration_s") == [(start_s, 10.0) for start_s in range(0, 108_000, 10)]
    assert [(one.category, one.duration_s, one.of_s) for one in report.dominant] == [("documentary", 108_000, 108_000)]


async def test_a_split_is_stable_and_moves_only_as_it_grows(
    database_url: str, library: Path, rows: Rows, tmp_path: Path
) -> None:
    for number in range(60):
        write_audio(library / f"voice/{number % 6}/{number}.wav", 0.5)

    def told(share: float, by: str = "file") -> ScanOptions:
        return ScanOptions(Rules(splits=(("val", share),), by=by), Segments(0.2))  # type: ignore[arg-type]

    await scan_folder(database_url, library, told(0.3))
    first = await rows("path, start_s, split")
    splits = {path: {split for other, _, split in first if other == path} for path, _, _ in first}
    assert {len(of_one) for of_one in splits.values()} == {1}
    counts = Counter(split for _, _, split in first)
    assert set(counts) == {None, "val"}
    again = await scan_folder(database_url, library, told(0.3))
    assert (again.registered.imported.updated, again.registered.cleared) == (0, 0)
    await scan_folder(database_url, library, told(0.6))
    more = await rows("path, start_s, split")
    moves = {(old, new) for (_, _, old), (_, _, new) in zip(first, more, strict=True)}
    assert moves == {(None, None), (None, "val"), ("val", "val")}
    back = await scan_folder(database_url, library, told(0.3))
    assert back.registered.cleared == sum(a != b for a, b in zip(first, more, strict=True))
    assert await rows("path, start_s, split") == first
    await scan_folder(database_url, library)  # without a word of splits, and cut anew
    assert {(path, split) for path, split in await rows("path, split")} == {(path, split) for path, _, split in first}
    moved = library.rename(tmp_path / "elsewhere")  # noqa: ASYNC240 - nothing else runs
    await scan_folder(database_url, moved, told(0.3))
    elsewhere = [
        (path.partition("elsewhere/")[2], start_s, split)
        for path, start_s, split in await rows("path, start_s, split")
        if "elsewhere" in path
    ]
    assert elsewhere == first


async def test_a_whole_folder_falls_into_a_split(database_url: str, library: Path, rows: Rows) -> None:
    for number in range(40):
        write_audio(library / f"voice/{number % 10}/{number}.wav")
    report = await scan_folder(database_url, library, ScanOptions(Rules(splits=(("val", 0.4),), by="folder")))
    found = {(path.rpartition("/")[0], split) for path, split in await rows("path, split")}
    assert len(found) == 10
    assert {split for _, split in found} == {None, "val"}
    assert sum(report.found.splits.values()) == 40


async def test_paths_tell_category_and_split(database_url: str, library: Path, rows: Rows) -> None:
    for name in ("train/voice/a.wav", "val/voice/b.wav", "c.wav"):
        write_audio(library / name)
    await scan_folder(database_url, library, ScanOptions(Rules(category_from="{split}/{category}/")))
    assert await rows("path, category, split") == [
        ("train/voice/a.wav", "voice", "train"),
        ("val/voice/b.wav", "voice", "val"),
    ]
    await scan_folder(database_url, library, ScanOptions(Rules(category_from="val/{category}/")))
    assert await rows(STATE) == [
        ("train/voice/a.wav", "FAILED", "the scan gives it no category"),
        ("val/voice/b.wav", "READY", None),
    ]


async def test_odd_names_are_stored_as_they_are(database_url: str, library: Path, rows: Rows) -> None:
    names = [
        "a b.wav",
        "line\nbreak.wav",
        "tab\t\"'.wav",
        normalize("NFC", "é.wav"),
        normalize("NFD", "é.wav"),
        "%_\\.wav",
    ]
    for name in names:
        write_audio(library / "voice" / name)
    os.rename(write_audio(library / "voice/x.wav"), os.fsencode(library / "voice") + b"/\xff.wav")  # noqa: PTH104 - bytes
    deep = library / "voice" / "/".join(["x" * 200] * 9)
    write_audio(deep / f"{'y' * 190}.wav")
    report = await scan_folder(database_url, library)
    assert sorted(path for (path,) in await rows("path")) == sorted(f"voice/{name}" for name in names)
    refused = report.found.refused
    assert refused.count == 2
    assert {one.reason.partition(";")[0] for one in refused.first} >= {"its name is not UTF-8"}
    assert any("accepted are 2,000" in one.reason for one in refused.first)
    again = await scan_folder(database_url, library)
    assert again.registered.imported.unchanged == len(names)


async def test_an_empty_folder_is_not_taken_for_a_library_that_is_gone(
    database_url: str, library: Path, rows: Rows
) -> None:
    assert (await scan_folder(database_url, library)).found.files == 0
    path = write_audio(library / "voice/a.wav")
    await scan_folder(database_url, library)
    path.unlink()
    with pytest.raises(ScanError, match="where 1 chunk of earlier scans lay; is a disk missing"):
        await scan_folder(database_url, library)
    assert await rows(STATE) == [("voice/a.wav", "READY", None)]
    assert (await scan_folder(database_url, library, PRUNED)).registered.gone == 1
    assert await rows() == []


async def test_a_dry_run_writes_nothing(database_url: str, library: Path, rows: Rows) -> None:
    write_audio(library / "voice/a.wav")
    await scan_folder(database_url, library)
    before = await rows()
    (library / "voice/a.wav").unlink()
    write_audio(library / "voice/b.wav")
    report = await scan_folder(database_url, library, ScanOptions(dry_run=True))
    assert (report.registered.imported.inserted, report.registered.gone, report.is_trial) == (1, 1, True)
    assert await rows() == before


async def test_nothing_is_registered_where_no_file_gets_a_category(
    database_url: str, library: Path, rows: Rows
) -> None:
    write_audio(library / "a.wav")
    write_audio(library / "b.wav")
    with pytest.raises(ScanError, match=r"none of 2 audio files, as 'a.wav', gets a category: .*--category NAME"):
        await scan_folder(database_url, library)
    assert await rows() == []


async def test_a_folder_has_to_be_one(database_url: str, library: Path) -> None:
    file = write_audio(library / "a.wav")
    for path, part in ((library / "none", "there is no folder"), (file, "is not a folder")):
        with pytest.raises(ScanError, match=part):
            await scan_folder(database_url, path)


async def test_links_in_the_folder_s_own_path_are_resolved(
    database_url: str, library: Path, rows: Rows, tmp_path: Path
) -> None:
    write_audio(library / "voice/a.wav")
    (tmp_path / "link").symlink_to(library)
    await scan_folder(database_url, tmp_path / "link")
    await scan_folder(database_url, tmp_path / "link/../audio")
    assert [path for (path,) in await rows("path")] == ["voice/a.wav"]


async def test_two_scans_at_once_do_not_disturb_each_other(database_url: str, library: Path, rows: Rows) -> None:
    for number in range(40):
        write_audio(library / f"voice/{number}.wav")
    await scan_folder(database_url, library)
    for number in range(20):
        (library / f"voice/{number}.wav").unlink()
        write_audio(library / f"voice/new-{number}.wav")
    await asyncio.gather(*(scan_folder(database_url, library) for _ in range(3)))
    counts = Counter(status for _, status, _ in await rows(STATE))
    assert counts == {"READY": 40, "FAILED": 20}


async def test_a_scan_that_is_cancelled_writes_nothing(database_url: str, library: Path, rows: Rows) -> None:
    write_audio(library / "voice/a.wav")
    doing: list[str] = []

    def stop(what: str, _done: int, _total: int | None) -> None:
        doing.append(what)
        loop.call_soon_threadsafe(task.cancel)

    loop = asyncio.get_running_loop()
    task = asyncio.create_task(scan_folder(database_url, library, progress=stop))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert doing
    assert await rows() == []


async def test_a_file_with_a_third_of_its_category_is_named(database_url: str, library: Path) -> None:
    for name, seconds in (
        ("voice/a.wav", 0.5),
        ("voice/b.wav", 0.2),
        ("voice/c.wav", 0.2),
        ("music/a.wav", 0.5),
        ("music/b.wav", 0.5),
    ):
        write_audio(library / name, seconds)
    report = await scan_folder(database_url, library)
    assert [(one.category, Path(one.path).name) for one in report.dominant] == [("voice", "a.wav")]
    async with session(database_url) as connection:
        await connection.execute("update audio_chunks set status = 'FAILED' where path like '%voice/a.wav'")
    write_audio(library / "voice/d.wav", 0.2)
    assert (await scan_folder(database_url, library)).dominant == []


async def test_chunks_below_a_folder_that_cannot_be_read_stay(database_url: str) -> None:
    paths = ["/x/a/1.wav", "/x/ab/2.wav", "/x/3.wav"]
    await import_chunks(database_url, [ChunkRow(path, "voice") for path in paths])
    scope = Scope(folders=["/x/"], unreadable=["/x/a/"])
    registered = await register_scanned(database_url, [], scope)
    assert (registered.gone, registered.gone_paths) == (2, ("/x/3.wav", "/x/ab/2.wav"))
