"""Ids are read in whichever encoding they came, as NumPy arrays where NumPy is there."""

import json
import struct
import sys
import uuid
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.conftest import MakeClient
from tests.support.background import serving_in_background
from tests.support.drawing import catalog_of, lasting_catalog
from tests.support.servers import connect
from tests.support.workers import Wiring
from worker.client import samples
from worker.client.samples import Sample, sample_of
from worker.core.keys import Keys
from worker.core.wire import Result, decode_result, ok_template

NUMBERS = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=40)
UUIDS = st.lists(st.uuids(), min_size=1, max_size=40)


def read(ids: bytes, count: int) -> Sample:
    result = Result("1-0", "a", None, None, ok_template(()), (ids, json.dumps({"voice": count})))
    words = [word.encode() if isinstance(word, str) else word for word in result.fields]
    return sample_of(decode_result(words, packed=True))


@pytest.fixture
def no_numpy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An interpreter that has no NumPy."""
    samples.find_numpy.cache_clear()
    monkeypatch.setitem(sys.modules, "numpy", None)
    yield
    samples.find_numpy.cache_clear()


@given(NUMBERS)
def test_numbers_are_an_array(ids: list[int]) -> None:
    for raw in (struct.pack(f"<{len(ids)}q", *ids), json.dumps(ids).encode()):
        found = read(raw, len(ids)).chunk_ids
        assert isinstance(found, np.ndarray)
        assert (found.dtype, found.tolist()) == (np.dtype(np.int64), ids)
        assert found.flags.writeable


@given(UUIDS)
def test_uuids_are_texts(ids: list[uuid.UUID]) -> None:
    for raw in (b"".join(one.bytes for one in ids), json.dumps([str(one) for one in ids]).encode()):
        assert read(raw, len(ids)).chunk_ids == [str(one) for one in ids]


def test_packed_ids_that_begin_and_end_like_json_are_read_as_packed() -> None:
    for raw in (b"[\xff23456]", b"[23,4,5]" + b"1234567]"):
        assert np.asarray(read(raw, len(raw) // 8).chunk_ids).tolist() == np.frombuffer(raw, "<i8").tolist()


@pytest.mark.usefixtures("no_numpy")
def test_without_numpy_numbers_are_a_list() -> None:
    for raw in (struct.pack("<3q", 1, -2, 3), b"[1, -2, 3]"):
        assert read(raw, 3).chunk_ids == [1, -2, 3]


def test_ids_that_cannot_be_read_are_told() -> None:
    with pytest.raises(ValueError, match="3 chunk ids cannot be read out of 7 bytes"):
        read(b"1234567", 3)


def test_a_library_of_uuids_is_asked_for_in_json_once_it_is_known(
    make_client: MakeClient, redis_url: str, prefix: str
) -> None:
    catalog = catalog_of({"voice": 5, "music": 5}, uuids=True)
    with serving_in_background(redis_url, prefix, Wiring(catalog=catalog)), connect(redis_url) as server:
        client = make_client(name="job")
        found = [client.sample(9).chunk_ids for _ in range(2)]
        assert all(str(uuid.UUID(one)) == one for ids in found for one in ids if isinstance(one, str))
        raw = [fields[b"chunk_ids"] for _, fields in server.xrange(Keys(prefix).reply("job"))]
    assert [len(ids) for ids in found] == [9, 9]
    assert (len(raw[0]), raw[1][:1]) == (9 * 16, b"[")


def test_a_library_by_seconds_tells_how_long_a_sample_lasts(
    make_client: MakeClient, redis_url: str, prefix: str
) -> None:
    lasting_s = {"voice": 2.0, "music": 90.0}
    catalog = lasting_catalog({"voice": 3, "music": 3}, lasting_s, spread=0.0)
    with serving_in_background(redis_url, prefix, Wiring(catalog=catalog)):
        sample = make_client(name="job").sample(100)
    assert sample.seconds == {
        name: count * {"voice": 2.0, "music": 90.0}[name] for name, count in sample.counts.items()
    }
    assert sample.extra == {}
