"""Which chunks are removed: patterns match as in a shell, and all kinds of conditions have to match."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.library import session
from worker.adapters.postgres.chunks import import_chunks
from worker.adapters.postgres.removing import Selection, remove_chunks, select_chunks
from worker.core.catalog.globs import glob_expression
from worker.core.catalog.manifest import ChunkRow

PATHS = [
    "/a/voice/1.wav",
    "/a/voice/2.WAV",
    "/a/music/[1].wav",
    "/a/line\nbreak.wav",
    "/a/100%_(x).wav",
    "b.wav",
    "/ä/^$.wav",
]
PATTERNS = [
    "*", "*.wav", "/a/*", "/a/voice/?.wav", "*/[12].*", "*/[!1].*", "*[[]1].wav", "*%_(x)*", "/a/line\nbreak.wav",
    "*^$*", "[a-c].wav", "?.wav", "", "/ä/*", "[", "a|b.wav", "*\\d*", "/a/voice", "*[]x[]*", "*[!]x]*", "*{1,2}*",
    "*[^1].wav",
]  # fmt: skip


async def test_patterns_fit_as_those_of_a_shell(database_url: str) -> None:
    await import_chunks(database_url, [ChunkRow(path, "voice") for path in PATHS])
    async with session(database_url) as connection:
        for pattern in PATTERNS:
            found = await connection.fetch("select path from audio_chunks where path ~ $1", glob_expression(pattern))
            assert {path for (path,) in found} == {path for path in PATHS if fnmatchcase(path, pattern)}, pattern


@given(st.text(st.characters(exclude_characters="*?[", exclude_categories=["Cs"]), max_size=20))
def test_a_pattern_without_signs_has_every_other_character_as_itself(text: str) -> None:
    expression = glob_expression(text)
    assert expression.replace("\\", "").removeprefix("^(?:").removesuffix(")$") == text.replace("\\", "")


async def test_all_kinds_of_conditions_have_to_fit(database_url: str) -> None:
    rows = [ChunkRow(path, category) for path, category in zip(PATHS, ["voice", "music"] * 4, strict=False)]
    await import_chunks(database_url, [*rows, ChunkRow("/a/voice/1.wav", "voice", start_s=5.0)])
    async with session(database_url) as connection:
        ids = {
            path: str(id_)
            for path, id_ in await connection.fetch("select path, id from audio_chunks where start_s is null")
        }
    waves = glob_expression("*.wav")

    async def counts(**conditions: tuple[str, ...]) -> dict[str, int]:
        return dict((await select_chunks(database_url, Selection(**conditions))).counts)

    assert await counts(categories=("music",)) == {"music": 3}
    assert await counts(categories=("music", "voice"), expressions=(waves,)) == {"music": 2, "voice": 5}
    assert await counts(paths=("/a/voice/1.wav",)) == {"voice": 2}
    assert await counts(ids=(ids["/a/voice/1.wav"],), paths=("b.wav",)) == {"music": 1, "voice": 1}
    assert await counts(ids=(ids["/a/voice/1.wav"],), categories=("music",)) == {}
    selected = await select_chunks(database_url, Selection(ids=("77", "x", ids["b.wav"]), paths=("/none",)))
    assert selected.known == {ids["b.wav"]}
    assert await remove_chunks(database_url, Selection(categories=("music",), expressions=(waves,))) == 2
    assert await remove_chunks(database_url, Selection(paths=("/a/voice/1.wav",))) == 2
    async with session(database_url) as connection:
        assert await connection.fetchval("select count(*) from audio_chunks") == 4


@pytest.mark.parametrize("words", [{}, {"ids": ()}])
async def test_nothing_asked_is_nothing_known(database_url: str, words: dict[str, tuple[str, ...]]) -> None:
    assert (await select_chunks(database_url, Selection(**words))).counts == {}
