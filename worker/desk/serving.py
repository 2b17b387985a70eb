"""The life of a desk: listen, say where, answer until a signal comes, end all streams."""

import asyncio
import contextlib
import signal
import socket
import webbrowser
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from worker.adapters.redis.client import connect
from worker.core.keys import Keys
from worker.desk.app import build_app
from worker.desk.context import Context
from worker.desk.hosts import Hosts, make_hosts
from worker.desk.hub import Hub
from worker.desk.listening import is_loopback, listen, url_of
from worker.desk.tokens import Token
from worker.errors import SettingsError
from worker.settings.environment import has_display
from worker.settings.for_desk import DeskSettings

_TIMEOUT_S: Final = 5.0
_MOST_CONNECTIONS: Final = 512
_LONGEST_END_S: Final = 5
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a desk is wanted.

    Attributes:
        host: What it listens on.
        port: See `worker.desk.listening.listen`.
        allowed_hosts: Further names by which it may be asked.
        is_read_only: Whether changes are refused.
        is_opened: Whether it is opened in a browser of this desktop.
    """

    host: str
    port: int | None
    allowed_hosts: Sequence[str]
    is_read_only: bool
    is_opened: bool


class _Server(uvicorn.Server):
    """A server whose signals are ours: uvicorn raises them again at the end, and the exit status would be theirs."""

    def __init__(self, config: uvicorn.Config, end: Callable[[], None]) -> None:
        super().__init__(config)
        self._end = end

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle signals while the server runs: the first ends it in order, the second at once."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True
        self._end()


def serve_desk(wanted: Wanted, settings: DeskSettings, say: Callable[[str], None]) -> None:
    """Serve until a signal comes.

    Args:
        wanted: How.
        settings: Where Redis is, and what browsers have to give.
        say: Is told where the desk is.

    Raises:
        SettingsError: It cannot listen there, or only with a token.
    """
    hosts = make_hosts(wanted.host, wanted.allowed_hosts)
    listening = listen(wanted.host, wanted.port)
    with listening:
        if settings.token is None and not is_loopback(listening):
            accepted = "--token-file FILE or WORKER_DESK_TOKEN, or a --host of loopback"
            raise SettingsError(
                f"on {wanted.host} others can reach the desk, and it has no token; accepted: {accepted}"
            )
        asyncio.run(_serve(wanted, settings, hosts, listening, say))


async def _serve(
    wanted: Wanted, settings: DeskSettings, hosts: Hosts, listening: socket.socket, say: Callable[[str], None]
) -> None:
    """Answer until a signal comes."""
    client = connect(settings.redis_url, timeout_s=_TIMEOUT_S)
    context = Context(client, Keys(settings.prefix), settings.redis_url, wanted.is_read_only)
    token = None if settings.token is None else Token(settings.token)
    hub = Hub(context)
    server = _Server(_config(build_app(context, hub, hosts, token)), hub.close)
    url = url_of(listening, wanted.host)
    say(f"desk on {url}{_notes(wanted, token)}; Ctrl-C ends it")
    try:
        async with asyncio.TaskGroup() as tasks:  # a bug in one of them ends all
            looking = tasks.create_task(hub.run())
            if wanted.is_opened:
                tasks.create_task(_open(url))
            await server.serve([listening])
            looking.cancel()
    finally:
        await client.aclose()


def _notes(wanted: Wanted, token: Token | None) -> str:
    """Return what is special about a desk, in brackets; empty if nothing is."""
    notes = [note for note, holds in (("read-only", wanted.is_read_only), ("asks for its token", token)) if holds]
    return f" ({', '.join(notes)})" if notes else ""


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,  # it would show addresses with their token
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_LONGEST_END_S,
    )


async def _open(url: str) -> None:
    """Open a page in the browser of this desktop, where there is one; the URL is said either way."""
    if has_display():
        await asyncio.to_thread(webbrowser.open, url)
