"""Fields of several hashes come in one round trip; a hash that Redis refuses does not hide the others."""

import pytest

from tests.support.streams import Desk
from worker.adapters.redis.fields import read_fields
from worker.errors import UnreadableError

NAMES = ("", "d")


@pytest.mark.any_redis
async def test_each_hash_gives_the_fields_that_are_asked_for(desk: Desk) -> None:
    returns, rules = desk.keys.returns, desk.keys.adjust
    await desk.client.hset(returns, mapping={"": "a", "d": "b"})
    await desk.client.hset(rules, "d", b"\xff")
    assert await read_fields(desk.client, {returns: NAMES, rules: ("d",), desk.keys.heard: (), "no": NAMES}) == [
        [b"a", b"b"],
        [b"\xff"],
        [],
        [None, None],
    ]


@pytest.mark.any_redis
async def test_a_hash_that_is_none_is_refused_alone(desk: Desk) -> None:
    await desk.client.set(desk.keys.adjust, "no hash")
    await desk.client.hset(desk.keys.returns, "", "a")
    refused, given = await read_fields(desk.client, {desk.keys.adjust: NAMES, desk.keys.returns: NAMES})
    assert isinstance(refused, UnreadableError)
    assert desk.keys.adjust in str(refused)
    assert given == [b"a", None]
