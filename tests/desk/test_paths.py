"""PROTOCOL.md and the desk name the same paths; and whatever goes wrong in one, the answer is JSON."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from worker.adapters.redis.client import connect
from worker.core.keys import Keys
from worker.desk.app import build_app
from worker.desk.changes import Changes
from worker.desk.context import Context
from worker.desk.hosts import make_hosts
from worker.desk.hub import Hub
from worker.desk.looks import Looks
from worker.desk.previews import Previews
from worker.desk.streams import Streams

PROTOCOL = (Path(__file__).parents[2] / "worker" / "PROTOCOL.md").read_text(encoding="utf-8")


@asynccontextmanager
async def parts(client: Any = None) -> AsyncIterator[tuple[Context, Hub]]:
    """Put a desk together that asks nobody."""
    nobody = connect("redis://127.0.0.1:9/0", timeout_s=1)
    hub = Hub(Context(nobody, Keys("audio"), "", is_read_only=False))
    yield Context(client or nobody, Keys("audio"), "", is_read_only=False), hub
    hub.live.close()
    await nobody.aclose()


async def test_every_path_is_documented() -> None:
    async with parts() as (context, hub):
        answering = (Looks(context, hub), Streams(hub), Previews(hub), Changes(context, hub))
        routes = [route for one in answering for route in one.routes]
    paths = {f"{'POST' if 'POST' in (route.methods or ()) else 'GET'} {route.path}" for route in routes}
    text = PROTOCOL.partition("\n## The desk\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"`((?:GET|POST) /api/[a-z/]+)`", text)) == paths


async def test_a_bug_is_answered_and_no_word_of_it_leaves_the_desk() -> None:
    async with parts(client=object()) as (context, hub):  # a part that is wrong
        app: Any = build_app(context, hub, make_hosts("127.0.0.1", ()), None)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as browser:
            answer = await browser.get("/api/history")
            head = await browser.head("/api/events")
    assert (answer.status_code, answer.json()["error"]) == (500, "internal")
    assert "object" not in answer.text
    assert answer.headers["x-frame-options"] == "DENY"
    assert (head.status_code, head.content) == (200, b"")
