"""What strangers may ask for: each entry has one outcome, the one that the contract names, and holds up nobody else."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import pytest

from tests.faults.records import OK, Run
from tests.faults.trial import Trial
from tests.support.command import ms_now
from tests.support.contract import ACCEPTS, NEEDS, go_together, is_name

Pairs = Sequence[tuple[bytes, bytes]]

_MIB = 1 << 20
_PORTIONS, _PORTION = 20, 100
_INVALID = "invalid_request"
_NO_NUMBERS = [b"", b"-1", b"+1", b"1.0", b"1e3", b" 1", b"1\n", b"NaN", b"true", b"\xd9\xa3", b"\0", b"9" * 5000]
_CONTROL = [b"a\nb", b"\0", b"\x1b[31m", b"\x7f", "\u2028".encode(), "\u202e".encode(), b"\xff", b"\xed\xa0\x80"]
_ASIDE = [
    *[b"../x", b"..:x", b"a:b", b"*", b"?", b"[a-z]", b"x}", b"}:x{", b"{other}", b"a b", b"a/b", b"", b"\0", b"\xff"],
    *[b"audio:sample:requests", b"audio:category:weights", b"x" * 65, b"x" * 10_240],
]
_CODES: dict[str, list[Pairs]] = {
    "ok": [
        *[[(b"size", size)] for size in (b"1", b"5", b"999", b"1000")],
        *[[(b"expires_at", at)] for at in (b"9223372036854775807", b"99999999999999")],
        *[[(b"reply_to", name)] for name in (b"requests", b"dead", b"stats", b"..", b".", b"-", b"x" * 64)],
        *[[(b"request_id", text)] for text in (b"x" * 128, "é".encode() * 128, b"{}", b" ")],
        *[[(name, b"x" * _MIB)] for name in (b"note", b"SIZE", b"entry_id", b"traceparent")],
        *[[(name, b"\xff\0")] for name in (b"", b"\0", b"\xff", b"size\0", b"n" * _MIB)],
        [(b"", b""), (b"", b"")],
        [(b"replace", b"0"), (b"size", b"600")],
    ],
    _INVALID: [
        *[[(name, value)] for name in (b"size", b"expires_at", b"seed") for value in _NO_NUMBERS],
        *[[(b"size", value)] for value in (b"0", b"1001", b"65537", b"1000000000")],
        *[[(name, value)] for name in (b"expires_at", b"seed") for value in (b"9223372036854775808", b"soon")],
        *[[(name, value)] for name in (b"reply_to", b"dataset", b"exclude") for value in _ASIDE],
        *[[(name, value)] for name in (b"request_id", b"session", b"category") for value in (*_CONTROL, b"x" * 129)],
        *[[(name, b"x" * _MIB)] for name in ACCEPTS if name not in {b"preset", b"traceparent"}],
        *[[(name, b"yes")] for name in (b"pin", b"replace", b"method", b"encoding", b"probabilities")],
        *[[(name, b"1"), (name, b"1")] for name in ACCEPTS],
        *[[value] for value, _, is_needed in NEEDS if is_needed],
        [(b"method", b"epoch"), (b"session", b"s"), (b"seed", b"1")],
    ],
    "expired": [[(b"expires_at", at)] for at in (b"0", b"1", b"%d" % (ms_now() - 1000))],
    "unknown_preset": [[(b"preset", value)] for value in (b"nobody", b"Balanced", *_ASIDE)],
    "unknown_exclude": [[(b"exclude", value)] for value in (b"nobody", b"x" * 64, b"..")],
    "unknown_category": [[(b"category", value)] for value in (b"nonsense", b"*", b"Voice", "é".encode())],
    "no_ready_chunks": [[(b"category", b"conference")]],
    "too_few_chunks": [
        [(b"replace", b"0"), (b"size", b"601")],
        [(b"replace", b"0"), (b"category", b"voice"), (b"size", b"301")],
    ],
}


def _words(pairs: Pairs) -> Sequence[bytes]:
    return [word for pair in pairs for word in pair]


def _ask(trial: Trial, pairs: Pairs, accepted: frozenset[str] = OK) -> str:
    [entry_id] = trial.ask_raw([_words(pairs)], accepted)
    return entry_id


def _hold_keys(trial: Trial, run: Run) -> None:
    """Check that there are only keys that the contract names, by names that it accepts."""
    keys = trial.keys
    names = [keys.requests, keys.results, keys.dead, keys.stats, keys.weights()]
    names += [keys.worker(worker.consumer) for worker in trial.workers]
    for asked in run.asked:
        names += [keys.reply(name) for name in [asked.fields.get("reply_to", "")] if is_name(name.encode())]
        names += [keys.session(asked.fields["session"])] if "session" in asked.fields else []
    assert {key.decode() for key in trial.client.scan_iter(count=1000)} <= {*names}


def _hold_addresses(run: Run) -> None:
    """Check that errors go to the request's reply stream and echo its id, where these are valid."""
    for asked, answer in run.pairs:
        given = asked.fields.get("reply_to", "")
        assert answer.reply_to == (given if is_name(given.encode()) else None), asked
        assert answer.request_id in {asked.fields.get("request_id"), answer.entry_id}


@pytest.mark.fault(
    "fields at and beyond the limits: sizes, times, ids, other keys' names, doubled, empty, binary, of 1 MB",
    "G01",
    "G02",
    "G03",
    "G08",
    "G10",
)
def test_every_departure_gets_the_error_that_the_contract_names(trial: Trial) -> None:
    trial.start(WORKER_MAX_SIZE="1000")
    for code, requests in _CODES.items():
        for pairs in requests:
            _ask(trial, pairs, frozenset({code}))
    trial.recover()
    run = trial.count(losses=0)
    assert run.dead == []
    _hold_addresses(run)
    _hold_keys(trial, run)


# -- anything --------------------------------------------------------------------------------------------------

_VALUES: dict[bytes, list[bytes]] = {
    b"request_id": [b"a", b"\xc3\xa9", b"x" * 128, b"{}"],
    b"size": [b"1", b"4", b"20", b"600", b"601", b"0", b"65537"],
    b"category": [b"voice", b"music", b"conference", b"nonsense"],
    b"dataset": [b"d", b"none-has-weights"],
    b"preset": [b"balanced", b"voice-heavy", b"nobody"],
    b"session": [b"s", b"t", b"a session"],
    b"pin": [b"0", b"1"],
    b"replace": [b"0", b"1"],
    b"method": [b"random", b"stratified", b"epoch"],
    b"seed": [b"0", b"7", b"9223372036854775807", b"9223372036854775808"],
    b"reply_to": [b"job", b"..", b"x" * 64, b"x" * 65],
    b"expires_at": [b"0", b"9223372036854775807"],
    b"encoding": [b"json", b"packed"],
    b"probabilities": [b"0", b"1"],
    b"columns": [b"category", b"path,path"],
    b"traceparent": [b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", b"none"],
}
_TRASH = [b"", b"0", b"1", b"*", b"{}", b"../x", b"NaN", b"true", b"\0", b"\n", b"\xff", b"%s", b"[]", b"x" * 5000]
_READY = {b"voice": 300, b"music": 200, b"documentary": 100}
_BUILT_IN = {*_READY, b"conference", b"custom"}


def _anything(chance: random.Random) -> Pairs:
    """Make up a request: mostly right, partly garbage."""
    names = chance.sample(sorted(_VALUES), chance.randint(1, 6))
    if b"pin" in names and b"preset" in names:
        names.remove(b"preset")  # what a session is pinned to decides, if it is
    pairs = [(name, _value(chance, name)) for name in names]
    if chance.random() < 0.2:
        pairs += [(chance.choice(_garbage(chance)), chance.choice(_garbage(chance)))]
    if chance.random() < 0.05:
        pairs += [chance.choice(pairs)]
    chance.shuffle(pairs)
    return pairs


def _value(chance: random.Random, name: bytes) -> bytes:
    is_right = name == b"preset" or chance.random() < 0.9  # wrong presets have a test above
    return chance.choice(_VALUES[name] if is_right else _garbage(chance))


def _garbage(chance: random.Random) -> list[bytes]:
    return [*_TRASH, chance.randbytes(chance.randint(1, 200)), chance.choice(sorted(_VALUES)).upper()]


def _portion(chance: random.Random) -> Mapping[frozenset[str], Sequence[Sequence[bytes]]]:
    """Make up requests, by how they may end: a worker logs so many of each kind in 10 s, and asking is quick."""
    found: dict[frozenset[str], list[Sequence[bytes]]] = defaultdict(list)
    for _ in range(_PORTION):
        pairs = _anything(chance)
        found[_expected(pairs)].append(_words(pairs))
    return found


def _expected(pairs: Pairs) -> frozenset[str]:
    """Return how a request may end by the contract; of several departures, any may be reported."""
    fields = dict(pairs)
    known = [(name, value) for name, value in pairs if name in ACCEPTS]
    wrong = {_INVALID for name, value in known if not ACCEPTS[name](value)}
    doubled = len({name for name, _ in known}) < len(known)
    if not wrong and (doubled or not go_together(known)):
        wrong.add(_INVALID)
    return frozenset(wrong) or frozenset(_outcomes(fields)) or OK


def _outcomes(fields: Mapping[bytes, bytes]) -> Iterator[str]:
    """Yield the errors with which a valid request may end."""
    category, preset = fields.get(b"category"), fields.get(b"preset", b"balanced")
    if int(fields.get(b"expires_at", b"9" * 18)) < ms_now():
        yield "expired"
    if preset not in _VALUES[b"preset"][:2]:
        yield "unknown_preset"
    if category is not None and category not in _READY:
        yield "no_ready_chunks" if category in _BUILT_IN else "unknown_category"
    ready = sum(_READY.values()) if category is None else _READY.get(category, 0)
    if fields.get(b"replace") == b"0" and int(fields.get(b"size", b"1")) > ready > 0:
        yield "too_few_chunks"


@pytest.mark.fault("thousands of requests of any fields and values, among ordinary ones", "G01", "G12", "G09")
@pytest.mark.parametrize("seed", range(2))
def test_anything_may_be_asked_for(trial: Trial, seed: int) -> None:
    chance = random.Random(seed)
    trial.start_many("w-1", "w-2")
    ends: Counter[frozenset[str]] = Counter()
    with trial.load():
        for _ in range(_PORTIONS):
            for expected, requests in _portion(chance).items():
                ends[expected] += len(requests)
                trial.ask_raw(requests, expected)
    trial.recover()
    run = trial.count(losses=0)
    assert run.dead == []
    assert len(ends) > 10, "all kinds of outcomes are expected"
    _hold_addresses(run)
    _hold_keys(trial, run)


# -- the same id again -----------------------------------------------------------------------------------------


@pytest.mark.fault("the same request id a hundred times, over two workers: each entry gets one result", "G05", "G06")
@pytest.mark.parametrize("sizes", [[4], [1, 2, 3, 4, 5]], ids=["same fields", "other fields"])
def test_a_request_id_is_used_again_and_again(trial: Trial, sizes: list[int]) -> None:
    """Once alone it is added by clients that note what they ask for: tests/adapters/redis/test_client_streams.py."""
    trial.start_many("w-1", "w-2")
    asked = [[b"request_id", b"twin", b"size", b"%d" % sizes[i % len(sizes)]] for i in range(100)]
    entries = trial.ask_raw(asked)
    trial.recover()
    run = trial.count(losses=0)
    twins = {answer.entry_id: len(answer.chunk_ids) for answer in run.answers if answer.request_id == "twin"}
    assert twins == {entry_id: sizes[i % len(sizes)] for i, entry_id in enumerate(entries)}
