"""A link that breaks on command: cut, silent, slow or torn, also at a moment that a test names."""

import asyncio
import re
import socket
import struct
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import hiredis

from tests.support.tampering import Tamperer, Torn
from tests.support.tasks import end

_COMMAND = re.compile(rb"\*\d+\r\n\$\d+\r\n([A-Za-z]+)\r\n")
_MESSAGES = ([b"pmessage"], [b"message"])
_CHUNK = 1 << 16
_SOON_S = 60.0
# A connection that is closed with this says RST instead of FIN.
_AT_ONCE = struct.pack("ii", 1, 0)
HOST = "127.0.0.1"
_T = TypeVar("_T")


class Link:
    """One connection through the proxy.

    Attributes:
        commands: Names of the commands sent over it so far.
    """

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._writers = (client, server)
        self._gate = asyncio.Event()
        self._gate.set()
        self.commands: set[str] = set()
        self._asked: deque[str] = deque()
        self._replies = hiredis.Reader(notEnoughData=...)

    def note(self, data: bytes) -> list[str]:
        """Note the commands that a chunk begins, and return their names."""
        names = [name.decode().upper() for name in _COMMAND.findall(data)]
        self.commands.update(names)
        self._asked.extend(names)
        return names

    def answered(self, data: bytes) -> list[str]:
        """Return the names of the commands whose replies, or parts of them, are in a chunk."""
        if not self._asked:  # messages, or what is not Redis
            return []
        names = []
        self._replies.feed(data)
        while (reply := self._replies.gets()) is not ...:
            if self._asked and not (isinstance(reply, list) and reply[:1] in _MESSAGES):
                names.append(self._asked.popleft())
        return [*names, self._asked[0]] if self._asked and self._replies.has_data() else names

    def cut(self) -> None:
        """Break it, in both directions, as a crash of a router does: what is under way is gone."""
        for writer in self._writers:
            held = writer.get_extra_info("socket")
            if held is not None and not writer.transport.is_closing():
                held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            writer.transport.abort()

    def hold(self) -> None:
        """Stop all traffic, silently, until it is released."""
        self._gate.clear()

    def release(self) -> None:
        """Let everything pass, what waited included."""
        self._gate.set()

    def say(self, words: bytes) -> None:
        """Send bytes to the client as if the server had."""
        self._writers[0].write(words)

    def half_close(self) -> None:
        """Close the sending side towards the client, and listen on."""
        self._writers[0].write_eof()

    async def passage(self) -> None:
        """Wait until something may pass."""
        await self._gate.wait()


Act = Callable[[Link], object]


@dataclass(slots=True)
class _Rule:
    """A rule: do something when a command, or the reply to it, comes by."""

    name: str
    act: Act
    times: int
    holding: bytes


@dataclass(slots=True)
class Pace:
    """The pace of links: delay of each chunk (s), bytes a second and bytes a chunk; 0: no bound."""

    delay: Callable[[], float] = field(default=lambda: 0.0)
    bytes_per_s: int = 0
    piece: int = 0


class Proxy:
    """A proxy to a port of this machine; it has its own thread, so that all tests can use it.

    Attributes:
        pace: How slow the links are.
        is_refusing: Whether connections are closed as soon as they are made.
        refused: How many were.
        tamperer: Does something to replies; None: nobody does.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._links: set[Link] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._on_command: list[_Rule] = []
        self._on_reply: list[_Rule] = []
        self._held_using: str | None = None
        self._listener: asyncio.Server | None = None
        self.pace = Pace()
        self.is_refusing = False
        self.refused = 0
        self.tamperer: Tamperer | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        """Return the URL of the server at the other end, which has to be one of Redis's kin."""
        return f"redis://{HOST}:{self.port}/0"

    def lead_to(self, port: int) -> None:
        """Forward connections that are made from now on to another port; the others stay where they are."""
        self._server_port = port

    def on_command(self, name: str, act: Act, *, times: int = 1, holding: bytes = b"") -> None:
        """Do something each time that a command is on its way and the server has not seen it; `times` times.

        Args:
            name: The command's first word.
            act: What to do; it runs in the proxy's thread, before the command is forwarded.
            times: How often.
            holding: Only where the command's first bytes hold this.
        """
        self._do(lambda: self._on_command.append(_Rule(name, act, times, holding)))

    def on_reply(self, name: str, act: Act, *, times: int = 1, holding: bytes = b"") -> None:
        """Do something each time that the server has obeyed a command and nobody has heard of it; see `on_command`."""
        self._do(lambda: self._on_reply.append(_Rule(name, act, times, holding)))

    def forget_rules(self) -> None:
        """Do nothing of it any more."""

        def forget() -> None:
            self._on_command.clear()
            self._on_reply.clear()

        self._do(forget)

    def cut(self, using: str = "") -> int:
        """Break the links, or those that have sent a certain command; return how many."""
        return self._each(using, Link.cut)

    def hold(self, using: str = "") -> int:
        """Stop all traffic of the links, new ones included, or of those that send a certain command."""
        self._held_using = using
        return self._each(using, Link.hold)

    def release(self) -> None:
        """Let everything pass again."""
        self._held_using = None
        self._each("", Link.release)

    def say(self, words: bytes, using: str) -> None:
        """Send bytes to the clients that have sent a certain command, as if the server had."""
        self._each(using, lambda link: link.say(words))

    def half_close(self) -> None:
        """Close the sending side towards the clients, and listen on."""
        self._each("", Link.half_close)

    def _each(self, using: str, act: Act) -> int:
        """Do something to the links, or to those that have sent a certain command; return how many."""

        def do() -> int:
            chosen = [link for link in self._links if not using or using in link.commands]
            for link in chosen:
                act(link)
            return len(chosen)

        return self._do(do)

    def _do(self, action: Callable[[], _T]) -> _T:
        async def act() -> _T:
            return action()

        return self._run(act())

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_SOON_S)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._accept, HOST, 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        assert self._listener is not None
        self._listener.close()
        await end(*self._serving)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.current_task()
        assert serving is not None
        self._serving.add(serving)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):  # an end is gone, or the test is over
            pass
        finally:
            writer.transport.abort()
            self._serving.discard(serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_refusing:
            self.refused += 1
            return
        from_server, to_server = await asyncio.open_connection(HOST, self._server_port)
        link = Link(writer, to_server)
        if self._held_using == "":
            link.hold()
        self._links.add(link)
        pumps = [
            asyncio.create_task(self._carry_commands(link, reader, to_server)),
            asyncio.create_task(self._carry_replies(link, from_server, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.discard(link)
            to_server.transport.abort()  # first: the wait that follows may be cancelled
            await end(*pumps)

    async def _carry_commands(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            names = link.note(data)
            if self._held_using is not None and self._held_using in link.commands:
                link.hold()
            _apply(self._on_command, link, data, names)
            await self._pass(link, writer, data)

    async def _carry_replies(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            _apply(self._on_reply, link, data, link.answered(data))
            try:
                told = self.tamperer.pass_on(link, data) if self.tamperer else data
            except Torn as torn:
                await self._pass(link, writer, torn.words)
                return
            await self._pass(link, writer, told)

    async def _pass(self, link: Link, writer: asyncio.StreamWriter, data: bytes) -> None:
        await link.passage()
        pace = self.pace
        await asyncio.sleep(pace.delay())
        size = pace.piece or len(data)
        for start in range(0, len(data), size or 1):
            writer.write(data[start : start + size])
            await writer.drain()
            if pace.bytes_per_s:
                await asyncio.sleep(min(size, len(data) - start) / pace.bytes_per_s)


def _apply(rules: list[_Rule], link: Link, data: bytes, names: list[str]) -> None:
    """Do what is to be done now that a chunk of some commands, or of their replies, comes by."""
    for rule in rules:
        if rule.times > 0 and rule.name in names and rule.holding in data:
            rule.times -= 1
            rule.act(link)


@asynccontextmanager
async def losing_replies(url: str, name: str, *, losses: int = 1) -> AsyncIterator[str]:
    """Lose the replies to the first `losses` commands of a name, which the server has obeyed; yield the link's URL."""
    lost: list[Link] = []

    def lose(link: Link) -> None:
        lost.append(link)
        link.cut()

    with Proxy(urlsplit(url).port or 0) as proxy:
        proxy.on_reply(name, lose, times=losses)
        yield proxy.url
    assert len(lost) == losses, f"{len(lost)} replies to {name} were lost"
