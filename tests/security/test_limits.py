"""The bounds of what strangers can make grow: the rows of "Limits" in worker/PROTOCOL.md.

Which values are accepted is in tests/core/wire/test_requests.py and tests/core/weights/test_values.py.
"""

import json

import numpy as np
import pytest

from tests.support.streams import Desk
from tests.support.workers import Wiring, answers, serving, small_catalog
from worker.adapters.redis import settling as redis_settling
from worker.core.catalog import Catalog, build_catalog
from worker.core.client_state import MOST_FORGOTTEN, MOST_KEPT_BYTES, MOST_SENT, ClientState
from worker.core.draw.answer import answer
from worker.core.draw.cursor import Cursor
from worker.core.draw.derived import WIDEST_KEPT, Derived
from worker.core.draw.prepare import Snapshots
from worker.core.draw.sessions import Session, read_session
from worker.core.weights.in_force import UNREAD, Held, InForce
from worker.core.weights.values import Weights, normalise
from worker.core.wire import Entry, Request, Template, Terms, decode_any, requests
from worker.core.wire.requests import RequestReader
from worker.ports import StreamLimits
from worker.service import snapshots as state
from worker.service.snapshots import CurrentSnapshots, SessionsBook

CATEGORIES = 10_000
MIB = 1 << 20


@pytest.fixture(scope="module")
def wide() -> Catalog:
    """A catalog with as many categories as weights may have."""
    names = tuple(f"category-{number:05}-{'x' * 40}" for number in range(CATEGORIES))
    return build_catalog(np.arange(CATEGORIES), np.arange(CATEGORIES), names)


def weights_of(catalog: Catalog, heaviest: int) -> Weights:
    weights = normalise({name: 1.0 + (i == heaviest) for i, name in enumerate(catalog.categories)}, "dataset")
    assert weights is not None
    return weights


@pytest.mark.fault("strangers make up names, datasets and sessions: what a worker remembers is bounded")
def test_what_is_derived_of_a_catalog_is_bounded_however_wide_it_is(wide: Catalog) -> None:
    """Each request names a category and asks for probabilities: sixty bytes that make a result of a megabyte."""
    rng, derived = np.random.default_rng(1), Derived(wide)
    held: dict[str | None, InForce] = {None: InForce(None, weights_of(wide, 0), ())}
    for name in wide.categories[:100]:
        answer([Request("1-0", "1-0", Terms(category=name, probabilities=True))], Snapshots(derived, held, 0), rng)
        assert kept_bytes(derived) < 17 * MIB


@pytest.mark.fault("strangers make up names, datasets and sessions: what a worker remembers is bounded")
def test_mixtures_of_many_datasets_are_bounded_too(wide: Catalog) -> None:
    rng, derived = np.random.default_rng(1), Derived(wide)
    for number in range(40):
        terms = Terms(dataset=f"d{number}", probabilities=True)
        held: dict[str | None, InForce] = {terms.dataset: InForce(terms.dataset, weights_of(wide, number), ())}
        answer([Request("1-0", "1-0", terms)], Snapshots(derived, held, 0), rng)
        mixtures = [one for one in derived._mixtures.values() if one is not None]
        assert sum(len(mixture.categories) for mixture in mixtures) <= WIDEST_KEPT
        assert kept_bytes(derived) < 17 * MIB


def kept_bytes(derived: Derived) -> int:
    """Count the bytes of the texts in what is derived of a catalog."""
    return sum(len(word) for one in derived._templates.values() for word in one.words if word is not None)


@pytest.mark.fault("strangers make up names, datasets and sessions: what a worker remembers is bounded")
def test_sessions_that_a_worker_remembers_are_bounded_in_number_and_in_width(wide: Catalog) -> None:
    book = SessionsBook()
    pinned = Session(pinned=weights_of(wide, 0))
    far = Session(cursors=dict.fromkeys(wide.categories, Cursor(1, 0)))
    for number in range(100):
        book.put(f"pinned {number}", pinned)
        book.put(f"far {number}", far)
        assert book._width <= state._WIDTH_REMEMBERED
    assert book.get("far 99") is far
    assert book.get("pinned 99") is pinned
    assert book.get("pinned 0") is None
    assert book._width == sum(session.width for session in book._sessions.values())
    for number in range(5000):
        book.put(f"narrow {number}", Session())
    assert len(book._sessions) == state._SESSIONS_REMEMBERED
    book.put("narrow 4999", far)
    book.put("narrow 4999", Session())
    assert book._width == sum(session.width for session in book._sessions.values())


@pytest.mark.fault("strangers make up names, datasets and sessions: what a worker remembers is bounded")
async def test_sessions_too_wide_to_be_remembered_are_served_all_the_same(
    desk: Desk, redis_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "_WIDTH_REMEMBERED", 1)
    async with serving(redis_url, prefix, Wiring(catalog=small_catalog(1000))):
        asked = await desk.add(
            *({"session": f"s{number % 20}", "pin": 1, "method": "epoch", "size": 10} for number in range(200))
        )
        found = await answers(desk, asked)
    assert {result["status"] for result in found.values()} == {"ok"}
    for number in range(20):
        counts = await desk.client.hgetall(desk.keys.session(f"s{number}"))
        assert counts[b"requests:"] == b"10"
        mine = [json.loads(found[entry]["chunk_ids"]) for entry in asked[number::20]]
        assert len({chunk for ids in mine for chunk in ids}) == 100, "no chunk twice in a pass"


@pytest.mark.fault("names that strangers make up, of jobs, sessions and datasets: none stays", "H01")
async def test_names_made_up_by_strangers_stay_nowhere_for_ever(desk: Desk, redis_url: str, prefix: str) -> None:
    limits = StreamLimits(results_maxlen=20, reply_ttl_s=600, session_ttl_s=900)
    made_up = [
        {
            "dataset": f"d{number}",
            "session": f"s{number}",
            "pin": 1,
            "reply_to": f"r{number}",
            "request_id": f"i{number}",
        }
        for number in range(150)
    ]
    async with serving(redis_url, prefix, Wiring(limits=limits)):
        for fields in ({"category": "nonsense"}, {}):
            asked = await desk.add(*(fields | names for names in made_up))
            for names, entry in zip(made_up, asked, strict=True):
                await answers(desk, [entry], str(names["reply_to"]))
        shared = await desk.add(*({"category": f"c{number}", "preset": f"p{number}"} for number in range(100)))
        await answers(desk, shared[-5:])
    counts = await desk.counts()
    by_name = [name for name in counts if name.split(":")[1]]
    assert by_name == [], "counts are kept by names that have weights of their own alone"
    keys = await desk.client.keys(f"{prefix}:*")
    lasting = {key.decode() for key in keys if await desk.client.ttl(key) < 0}
    assert lasting == {desk.keys.requests, desk.keys.results, desk.keys.stats}
    assert await desk.client.xlen(desk.keys.results) == 20
    assert await desk.client.xlen(desk.keys.requests) == 0


def test_datasets_that_a_worker_remembers_are_bounded() -> None:
    book = CurrentSnapshots().weights
    for number in range(5000):
        book.put(f"d{number}", UNREAD)
    assert len(book.known()) == 1 + state._DATASETS_REMEMBERED


def test_wide_datasets_are_forgotten_sooner_than_narrow_ones(wide: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    book = CurrentSnapshots().weights
    held = Held(b"1", weights_of(wide, 0))
    for number in range(40):
        book.put(f"wide {number}", held)
    book.put("narrow", UNREAD)
    book.forget_idle()
    assert len(book.known()) == 42, "what was asked for just now may be in hand"
    monkeypatch.setattr(state, "_IN_USE_S", 0.0)
    book.forget_idle()
    assert len(book.known()) == 1 + 26 + 1
    assert book.knows("narrow")
    assert book.knows("wide 39")
    assert not book.knows("wide 0")


# -- what requests make a worker remember ------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [[b"", b""] * 40_000, [b"a", b"x" * 2_000], [b"a" * 2_000, b""], [b"n", b""] * 33])
def test_strange_fields_are_served_and_not_remembered(words: list[bytes]) -> None:
    reader = RequestReader(65_536)
    for number in range(20):
        read = reader.read(Entry(f"{number}-0", [*words, b"m%d" % number, b"1"]))
        assert isinstance(read, Request)
    assert repr(reader) == "<RequestReader: 0 of at most 4096 terms known>"


def test_what_is_remembered_of_requests_is_bounded_in_pieces_and_in_bytes() -> None:
    reader = RequestReader(65_536)
    for number in range(10_000):
        reader.read(Entry(f"{number}-0", [b"size", b"8", *[b"n%d" % number, b"x" * 12] * 31]))
        assert len(reader._known) <= requests._MOST_KNOWN
    assert max(map(len, reader._known)) <= requests._MOST_WORDS_KNOWN
    assert max(sum(map(len, words)) for words in reader._known) <= requests._LONGEST_KNOWN


def test_the_shape_of_a_form_is_remembered_no_longer_than_the_form() -> None:
    shapes = redis_settling._SHAPES
    before = len(shapes)
    for _ in range(50):
        form = Template(("request_id", None, "entry_id", None, "weights", "x" * (1 << 20)))
        assert redis_settling._shape(form) is redis_settling._shape(form)
    assert len(shapes) <= before + 1


@pytest.mark.fault("strangers make up names, datasets and sessions: what a worker remembers is bounded")
def test_weights_that_change_leave_no_texts_behind(wide: Catalog) -> None:
    """A request that names its category has a narrow mixture, whatever the weights beside it."""
    rng, derived = np.random.default_rng(1), Derived(wide)
    for number in range(60):
        held: dict[str | None, InForce] = {None: InForce(None, weights_of(wide, number), ())}
        answer([Request("1-0", "1-0", Terms(category=wide.categories[0]))], Snapshots(derived, held, 0), rng)
    keys = [*derived._mixtures, *(part for key in derived._prepared for part in key)]
    texts = [part for part in keys if isinstance(part, str)]
    assert sum(map(len, texts)) < MIB


@pytest.mark.parametrize(
    "fields",
    [
        {f"epoch:{'x' * MIB}": b"1::"},
        {f"epoch:voice{number}": b"no cursor" * 1000 for number in range(100)},
        {f"note {number}": b"x" * 1000 for number in range(10_000)},
        {"weights": b"x" * MIB},
    ],
)
def test_of_a_strange_session_nothing_is_remembered(fields: dict[str, bytes]) -> None:
    session = read_session(fields)
    assert sum(len(name) + len(value) for name, value in session.fields.items()) == 0
    assert len(session.problem) < 300


@pytest.mark.fault("strangers make up names, datasets and sessions: what a worker remembers is bounded")
def test_sessions_are_bounded_in_bytes_too() -> None:
    book = SessionsBook()
    owed = f"1:{'f' * 16}:{','.join([f'{rank:016x}' for rank in range(60_000)])}".encode()
    for number in range(100):
        book.put(f"s{number}", read_session({"epoch:voice": owed}))
    kept = sum(len(value) for session in book._sessions.values() for value in session.fields.values())
    assert kept <= state._WIDTH_REMEMBERED * 128


def test_a_client_remembers_no_more_than_it_may_of_what_strangers_write() -> None:
    account = ClientState()
    for number in range(30_000):
        words = [b"request_id", b"r%d" % number, b"entry_id", b"1-1", b"chunk_ids", b"[1]", b"note", b"x" * 3000]
        account.receive(f"{number + 1}-0", decode_any(words, packed=True), 0)
    assert sum(sum(map(len, reply.fields.values())) for _, reply in account._results._kept.values()) <= MOST_KEPT_BYTES
    assert len(account._results._forgotten) <= MOST_FORGOTTEN
    assert len(account.next_sending(0).forgotten) <= 2 * MOST_SENT
