"""Dead letters: those of workers are sent again unchanged; those of strangers stay and block no others."""

from typing import Any

import pytest

from tests.support.streams import Desk
from worker.adapters.redis.dead_letters import RedisDeadLetters
from worker.core.wire import Entry, encode_dead_letter
from worker.errors import UnreadableError


@pytest.fixture
def dead(desk: Desk) -> RedisDeadLetters:
    return RedisDeadLetters(desk.client, desk.keys)


async def add(desk: Desk, *words: str | bytes) -> str:
    """Add a letter as it is."""
    return str((await desk.client.execute_command("XADD", desk.keys.dead, "*", *words)).decode())


async def test_a_letter_is_sent_again_as_its_request_was(desk: Desk, dead: RedisDeadLetters) -> None:
    requests: list[list[bytes]] = [[], [b"size", b"8"], [b"\xff", b"\0", b"error", b"own"], [b"a", b"b"] * 5000]
    ids = [await add(desk, *encode_dead_letter(Entry("1-1", one), "internal", "why")) for one in requests]
    sent = await dead.requeue(ids)
    assert list(sent) == ids
    wanted = [(b"size", b"1"), *map(tuple, requests[1:3]), tuple(requests[3][:7000])]
    assert await desk.words(desk.keys.requests) == wanted
    assert await dead.count() == 0


STRANGE: list[tuple[Any, ...]] = [
    ("size", "8"),
    ("entry_id", "1-1", "error", "x", "message", "y"),
    ("size", "8", "error", "x", "entry_id", "1-1", "message", "y", "deliveries", "5"),
    ("fields_left_out", "5"),
    (b"\xff", b"\xff"),
    ("n", "v") * 5000,
    (*(("n", "v") * 5000), "entry_id", "1-1", "error", "x", "message", "y", "deliveries", "5"),
]


async def test_letters_of_strangers_stay_and_keep_no_other(desk: Desk, dead: RedisDeadLetters) -> None:
    strange = [await add(desk, *words) for words in STRANGE]
    own = await add(desk, *encode_dead_letter(Entry("1-1", [b"size", b"8"]), "internal", "why"))
    sent = await dead.requeue([*strange, own])
    assert [letter for letter, entry in sent.items() if not entry] == strange
    assert sent[own] == (await desk.ids(desk.keys.requests))[0]
    assert await desk.ids(desk.keys.dead) == strange
    again = {letter: entry async for part in dead.requeue_all() for letter, entry in part.items()}
    assert again == dict.fromkeys(strange, "")
    assert len(await dead.newest(100)) == len(strange)


async def test_another_type_is_told(desk: Desk, dead: RedisDeadLetters) -> None:
    await desk.client.set(desk.keys.dead, "no stream")
    for call in (dead.count(), dead.newest(5), anext(dead.requeue_all()), dead.requeue(["1-1"])):
        with pytest.raises(UnreadableError, match=f"{desk.keys.dead}.*WRONGTYPE"):
            await call
