"""Streams of events: what browsers see live.

Nothing is queued for a browser. It is sent the newest of each kind that it has not been sent yet, once its connection
takes more. So a slow browser sees fewer looks, and takes no memory.
"""

from collections.abc import AsyncGenerator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from worker.desk.answers import answer
from worker.desk.bodies import read_name, read_names
from worker.desk.channel import beat
from worker.desk.headers import NOT_KEPT
from worker.desk.hub import Hub, Watched

BEAT_S: Final = 3.0
_TYPE: Final = "text/event-stream"
_AGAIN: Final = b"retry: 2000\n\n"
_HEADERS: Final = {**NOT_KEPT, "X-Accel-Buffering": "no"}  # nginx would hold events back


class Streams:
    """Answers with what is seen live: again and again, or once.

    Args:
        hub: What all browsers share.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    @property
    def routes(self) -> list[Route]:
        """Return the paths that are answered here."""
        return [
            Route("/api/events", self.answer_events),
            Route("/api/view", self.answer_view),
            Route("/api/phases", self.answer_phases),
        ]

    async def answer_events(self, request: Request) -> Response:
        """Answer with events until the browser goes away, or the desk ends."""
        watched = _read_watched(request)
        self._hub.check(watched)
        if request.method == "HEAD":
            return Response(headers=_HEADERS, media_type=_TYPE)
        return StreamingResponse(self._events(watched), headers=_HEADERS, media_type=_TYPE)

    async def answer_view(self, request: Request) -> Response:
        """Answer with one view."""
        return answer(await self._hub.view(_read_watched(request)))

    async def answer_phases(self, request: Request) -> Response:
        """Answer with the phases since somebody began to watch."""
        _, phases = self._hub.live.phases(read_name(request.query_params, "dataset"))
        return answer({"phases": phases})

    async def _events(self, watched: Watched) -> AsyncGenerator[bytes, None]:
        async with self._hub.watching(watched) as channel:
            yield _AGAIN
            sent: dict[str, int] = {}
            while not self._hub.is_closed:
                if news := channel.news(sent):
                    yield news
                elif not await channel.wait(BEAT_S):
                    yield beat()


def _read_watched(request: Request) -> Watched:
    """Read what a browser looks at.

    Raises:
        DeskError: There can be no such dataset or category.
    """
    return Watched(read_name(request.query_params, "dataset"), read_names(request.query_params.get("with", "")))
