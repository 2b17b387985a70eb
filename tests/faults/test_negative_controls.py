"""Workers with one wrong part, each of which the auditors have to catch; with the right part they find nothing.

A check that cannot fail proves nothing.
"""

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.faults.audit import audit
from tests.faults.collect import collect
from tests.faults.records import OK, UNWRITTEN, Asked, Run, Stay, WeightsChange
from tests.faults.wrong_parts import (
    AcknowledgingStreams,
    BiasedDraw,
    ForgetfulStreams,
    MultiStreams,
    NaiveDraw,
    OffByOneDraw,
    TrustingDraw,
    UnfencedStreams,
)
from tests.support.proxy import losing_replies
from tests.support.servers import connect
from tests.support.streams import Desk
from tests.support.waiting import wait_until
from tests.support.workers import Wiring, serving, settled, small_catalog

VALUES = {"voice": 5.0, "music": 3.0, "documentary": 2.0}
NAN = '{"documentary": NaN, "music": 1, "voice": 1}'
CHUNKS = 50


@dataclass
class Course:
    """A course of requests and weights changes on a real server, and a record of them."""

    desk: Desk
    url: str
    prefix: str
    asked: list[Asked] = field(default_factory=list)
    changes: list[WeightsChange] = field(default_factory=list)

    async def ask(self, count: int, accepted: frozenset[str] = OK, **fields: str) -> None:
        for _ in range(count):
            sent_ns = time.time_ns()
            [entry_id] = await self.desk.add({"size": "8", **fields})
            self.asked.append(Asked(entry_id, {"size": "8", **fields}, sent_ns, accepted))

    async def weigh(self, values: Mapping[str, float] | None, text: str) -> None:
        """Set weights and notify nobody; None stands for what is refused."""
        begun_ns = time.time_ns()
        await self.desk.client.set(self.desk.keys.weights(), text)
        self.changes.append(WeightsChange(None, values, begun_ns, time.time_ns(), refused=values is None))

    def serving(self, wiring: Wiring, url: str = "") -> AbstractAsyncContextManager[object]:
        return serving(url or self.url, self.prefix, wiring)

    def found(self) -> set[str]:
        """Return the auditors that found something."""
        stays = [Stay(chunk, name) for name, ids in small_catalog(CHUNKS).segments() for chunk in ids.tolist()]
        with connect(self.url) as client:
            remains = collect(client, self.desk.keys)
        run = Run(self.asked, changes=self.changes, stays=stays, **remains._asdict())
        return {name for name, sentences in audit(run).items() if sentences}


Steps = Callable[[Course, Wiring], Awaitable[None]]


async def unwritable(course: Course, wiring: Wiring) -> None:
    """Ask for a result that cannot be written, as its stream is a string."""
    await course.desk.client.set(course.desk.keys.reply("string"), "text")
    async with course.serving(replace(wiring, idle_ms=50, max_deliveries=2)):
        await course.ask(3, frozenset({UNWRITTEN}), reply_to="string")
        await course.ask(10)
        await settled(course.desk)


def lost_reply(word: str) -> Steps:
    """Lose the reply to a settling that Redis has done."""

    async def steps(course: Course, wiring: Wiring) -> None:
        async with losing_replies(course.url, word) as url, course.serving(wiring, url):
            await course.ask(10)
            await _acknowledged(course)

    return steps


async def _acknowledged(course: Course) -> None:
    """Wait until all was delivered and nothing is pending; a wrong part may leave in the stream what it answered."""

    async def is_acknowledged() -> bool:
        groups = await course.desk.client.xinfo_groups(course.desk.keys.requests)
        delivered = [group["last-delivered-id"].decode() for group in groups]
        return delivered == [course.asked[-1].entry_id] and not await course.desk.pending()

    await wait_until(is_acknowledged, timeout_s=60, what="every request is acknowledged")


async def changing_weights(course: Course, wiring: Wiring) -> None:
    """Change weights without a notification."""
    async with course.serving(wiring):
        await course.weigh(VALUES, json.dumps(VALUES))
        await course.ask(10)
        await course.weigh({"music": 1.0}, '{"music": 1}')
        await course.ask(10)
        await settled(course.desk)


async def many_draws(course: Course, wiring: Wiring) -> None:
    """Make enough draws to test the mix."""
    await course.weigh(VALUES, json.dumps(VALUES))
    async with course.serving(wiring):
        await course.ask(150, size="100")
        await settled(course.desk)


async def refused_weights(course: Course, wiring: Wiring) -> None:
    """Set weights of which one is not a number: the defaults stay."""
    await course.weigh(None, NAN)
    async with course.serving(wiring):
        await course.ask(50)
        await settled(course.desk)


async def changing_workers(course: Course, wiring: Wiring) -> None:
    """Begin a session on one worker and go on with it on another."""
    for name in ("one", "two"):
        async with course.serving(replace(wiring, consumer=name)):
            await course.ask(8, session="s", method="epoch", category="voice")
            await settled(course.desk)


@dataclass(frozen=True)
class Control:
    """A wrong part of a worker, the steps that reveal it, and the auditors that find it.

    Attributes:
        wrong: A worker with one wrong part.
        right: The same worker with the right part.
        steps: What has to happen for it to show.
        seen_by: The auditors that have to find it.
        steps_of_right: The same for the right worker, where it goes another way.
    """

    wrong: Wiring
    steps: Steps
    seen_by: frozenset[str]
    right: Wiring
    steps_of_right: Steps | None = None


def control(steps: Steps, *seen_by: str, steps_of_right: Steps | None = None, **part: Any) -> Control:
    """Describe a control whose wrong worker differs from the right one in a part."""
    wiring = Wiring(catalog=small_catalog(CHUNKS))
    right = replace(wiring, draw=NaiveDraw()) if "draw" in part else wiring
    return Control(replace(wiring, **part), steps, frozenset(seen_by), right, steps_of_right)


LOST = ("one result each", "all entries answered")
UNCOUNTED = "stats equal results"
SCRIPT = lost_reply("EVALSHA")
CONTROLS = {
    "settles with MULTI, and one result cannot be written": control(unwritable, *LOST, UNCOUNTED, streams=MultiStreams),
    "settles with MULTI, and a reply is lost": control(
        lost_reply("EXEC"), "one result each", steps_of_right=SCRIPT, streams=MultiStreams
    ),
    "acknowledges first, and a reply is lost": control(
        lost_reply("XACK"), *LOST, UNCOUNTED, "nothing left", steps_of_right=SCRIPT, streams=AcknowledgingStreams
    ),
    "acknowledges first, and one result cannot be written": control(
        unwritable, *LOST, UNCOUNTED, streams=AcknowledgingStreams
    ),
    "keeps old weights": control(changing_weights, "weights in force", streams=UnfencedStreams),
    "lets NaN through": control(refused_weights, "mix", draw=TrustingDraw(NAN)),
    "is off by one in the cumulative weights": control(many_draws, "mix", draw=OffByOneDraw()),
    "prefers the first chunks of a category": control(many_draws, "evenness", draw=BiasedDraw()),
    "draws a chunk twice in a pass": control(changing_workers, "passes", streams=ForgetfulStreams),
}


@pytest.fixture
def course(desk: Desk, redis_url: str, prefix: str) -> Course:
    return Course(desk, redis_url, prefix)


@pytest.mark.fault("a part of a worker is wrong on purpose: the audit finds it")
@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
async def test_a_wrong_part_is_found(course: Course, control: Control) -> None:
    await control.steps(course, control.wrong)
    assert course.found() == control.seen_by


@pytest.mark.fault("a part of a worker is wrong on purpose: the audit finds it")
@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
async def test_with_the_right_part_nothing_is_found(course: Course, control: Control) -> None:
    await (control.steps_of_right or control.steps)(course, control.right)
    assert course.found() == set()
