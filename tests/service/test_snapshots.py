"""What is remembered of datasets, and for how long."""

from tests.support.drawing import catalog_of
from worker.core.weights.in_force import ABSENT, UNREAD, Held, mark_of
from worker.core.weights.values import default_weights, defaults_for, normalise
from worker.service.snapshots import CurrentSnapshots, WeightsBook

_FULL = 2048


def _book(*datasets: str) -> WeightsBook:
    book = WeightsBook()
    for name in datasets:
        book.put(name, Held(ABSENT, None))
    return book


def test_at_first_nothing_is_known_and_the_defaults_are_in_force() -> None:
    current = CurrentSnapshots()
    assert (current.catalog, current.weights.known()) == (None, [None])
    assert current.weights.held(None) is current.weights.held("d") is UNREAD
    in_force = current.weights.in_force(None)
    assert (in_force.weights.source, in_force.marks) == ("default", ((None, b""),))


def test_the_defaults_in_force_are_those_of_the_catalog() -> None:
    told: list[str] = []
    current = CurrentSnapshots(catalog_of({"speech": 2, "songs": 3}))
    book = current.weights
    book.watch(lambda: told.append(book.in_force(None).weights.version))
    own = book.in_force(None).weights
    assert (own.shares, own.source) == ({"songs": 0.5, "speech": 0.5}, "default")
    current.catalog = catalog_of({"speech": 9, "songs": 1})
    assert book.in_force(None).weights is own
    current.catalog = catalog_of({"speech": 9})
    book.put("d", Held(ABSENT, None))
    assert book.in_force("d").weights.shares == {"speech": 1.0}
    current.catalog = catalog_of({"voice": 1, "speech": 9})
    assert book.in_force(None).weights.version == default_weights().version
    assert told == [defaults_for({"speech"}).version, default_weights().version]
    book.put(None, Held(b"shared", normalise({"voice": 1.0}, "redis")))
    current.catalog = None
    assert book.in_force(None).weights.source == "redis"


def test_the_marks_of_a_dataset_are_those_of_every_key_that_decided() -> None:
    book = _book("d")
    book.put(None, Held(b"shared", normalise({"voice": 1.0}, "redis")))
    assert book.in_force("d").marks == (("d", ABSENT), (None, b"shared"))
    book.put("d", Held(b"own", normalise({"music": 1.0}, "dataset")))
    assert book.in_force("d").marks == (("d", b"own"),)
    assert book.held("d").mark == b"own"


def test_unknown_datasets_are_those_whose_keys_were_never_read() -> None:
    book = _book("a", "b")
    assert book.unknown([None, "a", "c", "b", "d"]) == ["c", "d"]
    assert book.unknown([None]) == []


def test_a_full_book_forgets_the_dataset_asked_for_least_recently() -> None:
    book = _book(*(f"d{i}" for i in range(_FULL)))
    book.in_force("d0")
    assert book.unknown(["d1", "new"]) == ["new"]
    book.put("new", Held(ABSENT, None))
    assert len(book.known()) == 1 + _FULL
    assert book.unknown(["d0", "d1", "d2", "d3"]) == ["d2"]
    book.put("d3", Held(ABSENT, None))  # known already: nobody has to go
    assert len(book.known()) == 1 + _FULL


def test_datasets_that_nobody_asks_for_are_forgotten_unless_only_memory_holds_their_weights() -> None:
    book = _book("asked", "idle", "held", "last-known")
    book.put("held", Held(mark_of(b"x"), normalise({"voice": 1.0}, "dataset")))
    book.put("last-known", Held(mark_of(b"y"), normalise({"voice": 1.0}, "last_known")))
    for remembered in book._datasets.values():
        remembered.asked_at -= 61
    assert book.unknown(["asked"]) == []
    book.forget_idle()
    assert book.known() == [None, "last-known", "asked"]


def test_whoever_watches_is_told_of_other_weights_and_of_nothing_else() -> None:
    book, told = WeightsBook(), [0]

    def tell() -> None:
        told[0] += 1

    book.watch(tell)
    voice = Held(b"1", normalise({"voice": 1.0}, "dataset"))
    for dataset in (None, "d"):
        for held, expected in ((voice, 1), (voice, 0), (Held(b"2", voice.weights), 0), (Held(ABSENT, None), 1)):
            told[0] = 0
            book.put(dataset, held)
            assert told[0] == expected


def test_versions_are_those_of_the_datasets_asked_for_last() -> None:
    book = _book("a", "b")
    weights = normalise({"voice": 1.0}, "dataset")
    assert weights is not None
    book.put("c", Held(b"1", weights))
    assert book.versions(9) == {"c": weights.version, "b": "", "a": ""}
    book.in_force("a")
    assert list(book.versions(2)) == ["a", "c"]


def test_another_user_derives_apart_from_the_same_catalog_until_another_one_is_in_force() -> None:
    current, lane = CurrentSnapshots(catalog_of({"voice": 1})), object()
    derived = current.derived
    assert derived is not None
    apart = current.derived_apart(lane, derived)
    assert apart is not derived
    assert apart.catalog is derived.catalog
    assert current.derived_apart(lane, derived) is apart
    assert current.derived_apart(object(), derived) is not apart
    current.catalog = catalog_of({"voice": 2})
    assert current.derived is not derived
    late = current.derived_apart(lane, derived)  # the draw began before the catalog came into force
    assert late.catalog is derived.catalog
    assert current.derived_apart(lane, derived) is not late, "nothing keeps a catalog that is no longer in force"


def test_without_a_catalog_nothing_is_derived() -> None:
    current = CurrentSnapshots(catalog_of({"voice": 1}))
    current.catalog = None
    assert current.derived is None
