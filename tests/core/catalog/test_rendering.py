"""Rendered cells parse back to the ids, whatever these are."""

import json
import random
import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from worker.core.catalog.rendering import (
    BIGINT,
    UUID,
    CountsRenderer,
    cell_width,
    cut_cells,
    cut_ids,
    cut_rendered,
    id_from_text,
    narrow_ids,
    render_cells,
)


def join_cells(cells: NDArray[np.void]) -> bytes:
    """Write the array of one request."""
    (text,) = cut_cells(cells, np.arange(len(cells)), np.array([len(cells)]))
    return text


def pack_ids(ids: NDArray[np.generic]) -> bytes:
    """Pack the ids of one request."""
    (packed,) = cut_ids(ids, np.arange(len(ids)), np.array([len(ids)]))
    return packed


bigints = st.integers(-(2**63), 2**63 - 1) | st.integers(-1000, 1000)
uuids = st.uuids() | st.sampled_from([uuid.UUID(int=0), uuid.UUID(int=1), uuid.UUID(int=1 << 120)])


@given(st.lists(bigints, min_size=1), st.integers(0, 2))
def test_cells_of_bigints_are_a_json_array(chunks: list[int], spare_words: int) -> None:
    ids = np.array(chunks, dtype=BIGINT)
    assert json.loads(join_cells(render_cells(ids, cell_width(ids) + 4 * spare_words))) == chunks


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1))
def test_ids_that_are_kept_in_four_bytes_are_written_alike(chunks: list[int]) -> None:
    ids = np.array(chunks, dtype=BIGINT)
    narrow = narrow_ids(ids)
    assert narrow.itemsize == 4
    assert render_cells(narrow, cell_width(narrow)).tobytes() == render_cells(ids, cell_width(ids)).tobytes()
    assert pack_ids(narrow) == pack_ids(ids)


@pytest.mark.parametrize("chunk", [2**31, -(2**31) - 1, 2**63 - 1, -(2**63)])
def test_ids_that_do_not_fit_stay_as_they_are(chunk: int) -> None:
    ids = np.array([1, chunk], dtype=BIGINT)
    assert narrow_ids(ids) is ids


def test_each_number_of_digits_is_written_in_more_than_one_block() -> None:
    ids = np.concatenate([np.arange(-20_000, 20_000), 10 ** np.arange(19), 10 ** np.arange(19) - 1])
    assert json.loads(join_cells(render_cells(ids, cell_width(ids)))) == ids.tolist()


@given(st.lists(uuids, min_size=1))
def test_cells_of_uuids_are_a_json_array(chunks: list[uuid.UUID]) -> None:
    ids = np.array([chunk.bytes for chunk in chunks], dtype=UUID)
    assert json.loads(join_cells(render_cells(ids, cell_width(ids)))) == [str(chunk) for chunk in chunks]


@given(st.lists(bigints, min_size=1), st.randoms(use_true_random=False))
def test_cells_can_be_laid_side_by_side_in_any_order(chunks: list[int], shuffler: random.Random) -> None:
    ids = np.array(chunks, dtype=BIGINT)
    order = list(range(len(chunks)))
    shuffler.shuffle(order)
    (text,) = cut_cells(render_cells(ids, cell_width(ids)), np.array(order), np.array([len(order)]))
    assert json.loads(text) == [chunks[place] for place in order]


@given(st.lists(st.lists(bigints, min_size=1), min_size=1))
def test_requests_are_cut_where_they_end(requests: list[list[int]]) -> None:
    sizes = np.array([len(request) for request in requests])
    ids = np.array([chunk for request in requests for chunk in request], dtype=BIGINT)
    everywhere = np.arange(len(ids))
    texts = cut_cells(render_cells(ids, cell_width(ids)), everywhere, sizes)
    assert [json.loads(text) for text in texts] == requests
    assert cut_ids(ids, everywhere, sizes) == [np.array(request, dtype="<i8").tobytes() for request in requests]


@given(st.lists(bigints, min_size=1, max_size=130), st.integers(0, 2))
def test_a_few_ids_are_written_as_many_are(chunks: list[int], spare_words: int) -> None:
    ids = np.array(chunks, dtype=BIGINT)
    width = cell_width(ids) + 4 * spare_words
    text = join_cells(render_cells(ids, width))
    for kept in (ids, narrow_ids(ids)):
        assert cut_rendered(kept, width, np.arange(len(ids)), np.array([len(ids)])) == [text]
        each = cut_rendered(kept, width, np.arange(len(ids)), np.ones(len(ids), np.int64))
        assert b",".join(one[1:-1] for one in each) == text[1:-1]


@given(st.lists(bigints))
def test_width_is_whole_words_and_fits(chunks: list[int]) -> None:
    width = cell_width(np.array(chunks, dtype=BIGINT))
    longest = max((len(str(chunk)) for chunk in chunks), default=1)
    assert width % 4 == 0
    assert longest < width <= longest + 4


def test_width_of_uuids_is_theirs_whatever_they_are() -> None:
    assert cell_width(np.empty(0, UUID)) == cell_width(np.array([bytes(16)], dtype=UUID)) == 40


@pytest.mark.parametrize("kind", [BIGINT, UUID], ids=["bigint", "uuid"])
def test_no_ids_render_to_no_cells(kind: np.dtype[np.generic]) -> None:
    ids = np.empty(0, kind)
    assert len(render_cells(ids, cell_width(ids))) == 0


@given(st.lists(bigints))
def test_packed_bigints_are_little_endian(chunks: list[int]) -> None:
    packed = pack_ids(np.array(chunks, dtype=BIGINT))
    assert packed == b"".join(chunk.to_bytes(8, "little", signed=True) for chunk in chunks)


@given(st.lists(uuids))
def test_packed_uuids_are_their_bytes(chunks: list[uuid.UUID]) -> None:
    packed = pack_ids(np.array([chunk.bytes for chunk in chunks], dtype=UUID))
    assert packed == b"".join(chunk.bytes for chunk in chunks)


@given(bigints)
def test_bigint_is_read_from_its_text(chunk: int) -> None:
    assert id_from_text(str(chunk), BIGINT) == chunk


@given(uuids)
def test_uuid_is_read_from_its_text(chunk: uuid.UUID) -> None:
    assert id_from_text(str(chunk), UUID) == chunk.bytes


@pytest.mark.parametrize("kind", [BIGINT, UUID], ids=["bigint", "uuid"])
@pytest.mark.parametrize("text", ["", "*", "x", "1.5", "1;drop table audio_chunks", "9" * 5000, "\0"])
def test_text_that_is_no_id_is_refused(text: str, kind: np.dtype[np.generic]) -> None:
    with pytest.raises(ValueError, match=r"."):
        id_from_text(text, kind)


counts_of = st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers(0, 2**40), min_size=1, max_size=6)


@given(counts_of, st.randoms(use_true_random=False), st.integers(1, 40))
def test_counts_are_json_whatever_the_categories_are_called(
    counts: dict[str, int], shuffler: random.Random, requests: int
) -> None:
    rows = [shuffler.sample(list(counts.values()), len(counts)) for _ in range(requests)]
    texts = CountsRenderer(list(counts)).render(np.array(rows, dtype=np.int64))
    for text, row in zip(texts, rows, strict=True):
        assert json.loads(text) == {name: count for name, count in zip(counts, row, strict=True) if count}
