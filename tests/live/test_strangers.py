"""Anything may stand in Redis: whoever watches sees the rest of it, and is told what could not be read."""

import json
import random

import pytest

from tests.faults.redis_surface import TABLE
from tests.faults.strange import spoil
from tests.support.servers import connect
from tests.support.streams import Desk
from worker.cli.printing import text_width
from worker.cli.watch.news import News
from worker.cli.watch.picture import Size, draw
from worker.live import LiveDesk

_ROUNDS = 150
_NOT_READ = {"results", "reply", "failure", "asked", "dead", "exclude", "excluded_ids", "weights_pattern"}
_READ = [kind for kind in TABLE if kind.member not in _NOT_READ]


@pytest.mark.fault("anything under every name in Redis, while somebody watches")
@pytest.mark.any_redis
async def test_a_view_can_be_made_of_whatever_stands_in_redis(desk: Desk, live: LiveDesk, redis_url: str) -> None:
    rng, news, problems = random.Random(7), News(), set[str]()
    with connect(redis_url) as server, live.watching(None), live.watching("job"):
        for number in range(_ROUNDS):
            kind = _READ[number % len(_READ)]
            spoil(rng, server, desk.keys, kind)
            for pace in (live._reader.counting, live._reader._scan):
                pace.hurry()
            live._reader.rarely.hurry()
            await live.look()
            for dataset in (None, "job"):
                view = live.view(dataset, ["voice"])
                assert len(json.dumps(view, allow_nan=False)) < 400_000, kind.member
                json.dumps([live.series(dataset), live.phases(dataset)], allow_nan=False)
                lines = draw(view, live.series(dataset), Size(80, 24))
                assert all(sum(text_width(text) for text, _ in line) <= 80 for line in lines)
                news.of(view)
                problems |= {problem.partition(" ")[0] for problem in view["problems"]}
            assert live.error is None, kind.member
            if number % 7 == 0:
                server.delete(kind.key(desk.keys))
    assert {"counts", "history", "presets", "backlog"} <= problems
