"""A right worker on a real server passes every auditor: what they count is what there is."""

import json
import time

import pytest

from tests.faults.audit import AUDITORS, audit
from tests.faults.collect import collect
from tests.faults.records import Asked, Run, Stay, WeightsChange
from tests.support.servers import connect
from tests.support.streams import Desk
from tests.support.workers import serving, settled, small_catalog

EPOCH = {"session": "s", "method": "epoch", "size": "7"}
REQUESTS: list[dict[str, str]] = [
    {"size": "8"},
    {"size": "8", "reply_to": "me", "encoding": "packed", "request_id": "mine"},
    {"size": "20", "replace": "0", "category": "music"},
    {"size": "9", "method": "stratified", "probabilities": "1"},
    {"size": "5", "seed": "11"},
    {"size": "5", "session": "p", "pin": "1"},
    {"size": "3", "preset": "voice-heavy"},
    {"size": "3", "preset": "balanced"},
    EPOCH,
]
WRONG = {"size": "none", "session": "s"}
VALUES = ({"voice": 1.0, "music": 2.0}, {"voice": 3.0, "music": 1.0, "silence": 1.0})


@pytest.mark.any_redis
async def test_a_right_worker_passes_every_auditor(desk: Desk, redis_url: str, prefix: str) -> None:
    asked, changes = [], []
    stays = [Stay(chunk, name) for name, ids in small_catalog().segments() for chunk in ids.tolist()]
    async with serving(redis_url, prefix):
        for values in (*VALUES, None):
            begun_ns = time.time_ns()
            if values:
                await desk.client.set(desk.keys.weights(), json.dumps(values))
            else:
                await desk.client.delete(desk.keys.weights())
            changes.append(WeightsChange(None, values, begun_ns, time.time_ns()))
            for fields in [*REQUESTS, WRONG] * 20:
                sent_ns = time.time_ns()
                [entry_id] = await desk.add(fields)
                accepted = frozenset({"ok" if fields is not WRONG else "invalid_request"})
                asked.append(Asked(entry_id, fields, sent_ns, accepted))
        await settled(desk)
    with connect(redis_url) as client:
        remains = collect(client, desk.keys)
    run = Run(asked, changes=changes, stays=stays, **remains._asdict())
    assert audit(run) == {name: [] for name in AUDITORS}
    assert len(run.answers) == len(asked) == 600
