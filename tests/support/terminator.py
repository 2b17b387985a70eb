"""TLS in front of a server that has none, as a load balancer or stunnel adds it."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.tasks import end
from worker.embedded.loopback import HOST

_CHUNK = 1 << 16
_START_S = 60.0
_SSL_REQUEST = (8).to_bytes(4, "big") + (80_877_103).to_bytes(4, "big")


class _Terminator:
    """A server that decrypts connections and passes them on.

    Source: PostgreSQL documentation, "SSL Session Encryption": a client asks in clear text whether it may encrypt.
    """

    def __init__(self, port: int, context: ssl.SSLContext, *, is_asked_first: bool) -> None:
        self._port = port
        self._context = context
        self._is_asked_first = is_asked_first

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pumps: list[asyncio.Task[None]] = []
        try:
            if self._is_asked_first:
                assert await reader.readexactly(len(_SSL_REQUEST)) == _SSL_REQUEST
                writer.write(b"S")
            await writer.start_tls(self._context)
            server_reader, server_writer = await asyncio.open_connection(HOST, self._port)
            pairs = (reader, server_writer), (server_reader, writer)
            pumps = [asyncio.create_task(_pump(*pair)) for pair in pairs]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            server_writer.close()
        except (OSError, asyncio.IncompleteReadError):  # a client that does not like the certificate
            pass
        finally:
            await end(*pumps)
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    except OSError:  # one of them is gone
        return


@contextmanager
def behind(port: int, context: ssl.SSLContext, *, is_asked_first: bool = False) -> Iterator[int]:
    """Put TLS in front of a server.

    Args:
        port: The server's, on loopback.
        context: The certificate, and what is asked of clients.
        is_asked_first: As PostgreSQL does it.

    Yields:
        The port that speaks TLS.
    """
    started, ports = threading.Event(), [0]
    loop = asyncio.new_event_loop()
    is_over = asyncio.Event()

    async def run() -> None:
        terminator = _Terminator(port, context, is_asked_first=is_asked_first)
        async with await asyncio.start_server(terminator.serve, HOST, 0) as server:
            ports[0] = server.sockets[0].getsockname()[1]
            started.set()
            await is_over.wait()
        await end(*(asyncio.all_tasks() - {asyncio.current_task()}))

    def run_loop() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(run())

    thread = threading.Thread(target=run_loop)
    thread.start()
    try:
        assert started.wait(_START_S)
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(is_over.set)
        thread.join()
