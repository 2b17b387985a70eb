"""Answers that only look: at the desk itself, at the history, at categories by their names, and at sessions."""

import re
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.adapters.redis.sessions import RedisSessions
from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.core.draw.session_shown import session_document
from worker.core.live.marks import mark_of
from worker.desk.answers import answer
from worker.desk.bodies import bad, read_name
from worker.desk.context import Context
from worker.desk.hub import Hub, Watched
from worker.errors import DeskError
from worker.weights.in_use import try_to_find_ready

_ENTRY: Final = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
_CHANGES: Final = 50
_CATEGORIES: Final = 100
_LONGEST_SESSION: Final = 128


class Looks:
    """Answers to requests that only look.

    Args:
        context: Where.
        hub: What all browsers share.
    """

    def __init__(self, context: Context, hub: Hub) -> None:
        self._context = context
        self._hub = hub

    @property
    def routes(self) -> list[Route]:
        """Return the paths that are answered here."""
        return [
            Route("/api/desk", self.show_desk),
            Route("/api/history", self.list_changes),
            Route("/api/categories", self.find_categories),
            Route("/api/session", self.show_session),
        ]

    async def show_desk(self, _: Request) -> Response:
        """Describe the desk itself."""
        return answer(self._context.document)

    async def list_changes(self, request: Request) -> Response:
        """List the newest changes of some weights, or those before one of them."""
        name, before = read_name(request.query_params, "dataset"), request.query_params.get("before", "")
        if before and not _ENTRY.fullmatch(before):
            raise bad(f"before={before[:80]!a} is no entry of the history", "an entry, such as 1795376986739-0")
        found: list[dict[str, Any]] = []
        async for change in RedisWeightsWriter(self._context.client, self._context.keys).history(before):
            if change.name == name:
                found.append(mark_of(change))
            if len(found) > _CHANGES:
                break
        return answer({"changes": found[:_CHANGES], "more": len(found) > _CHANGES})

    async def find_categories(self, request: Request) -> Response:
        """Find categories by a part of their names."""
        watched = Watched(read_name(request.query_params, "dataset"))
        await self._hub.known(watched)
        found, total = self._hub.live.find(watched.dataset, request.query_params.get("q", "").lower(), _CATEGORIES)
        return answer({"categories": found, "total": total})

    async def show_session(self, request: Request) -> Response:
        """Show the weights that a session is pinned to, its passes, what it heard, and how often."""
        name = request.query_params.get("name", "")
        if not 1 <= len(name) <= _LONGEST_SESSION or not name.isprintable():
            raise bad(f"name={name[:80]!a} is not accepted", f"1 to {_LONGEST_SESSION} printable characters")
        sessions = RedisSessions(self._context.client, self._context.keys)
        fields = await sessions.read(name)
        if fields == {}:
            what = f"there is no session {name!a}; accepted: one that is listed"
            raise DeskError(HTTPStatus.NOT_FOUND, "not_found", what)
        ready = await try_to_find_ready(self._context.client, self._context.keys, None)
        return answer(session_document(name, fields, await sessions.idle_left_s(name), ready))
