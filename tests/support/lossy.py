"""A link that loses replies: the server has done what it was told, and nobody hears of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from tests.support.tasks import end

_CHUNK = 1 << 16


class LossyLink:
    """Forward to a server; drop the connection, after the server has answered, where a command holds `word`.

    Attributes:
        losses: Replies still to be lost.
    """

    def __init__(self, url: str, word: bytes, losses: int) -> None:
        self._port = urlsplit(url).port
        self._word = word
        self.losses = losses

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._port)
        replies = asyncio.create_task(_pump(server_reader, writer))
        try:
            while command := await reader.read(_CHUNK):
                is_lost = self.losses > 0 and self._word in command
                if is_lost:
                    self.losses -= 1
                    await end(replies)
                server_writer.write(command)
                if is_lost:
                    await server_reader.read(1)
                    break
        except OSError:  # the client is gone
            pass
        finally:
            await end(replies)
            for side in (writer, server_writer):
                side.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
    writer.close()


@asynccontextmanager
async def losing_replies(url: str, word: bytes, *, losses: int = 1) -> AsyncIterator[str]:
    """Lose the replies to the first `losses` commands that hold a word; yield the URL of the link."""
    link = LossyLink(url, word, losses)
    async with await asyncio.start_server(link.serve, "127.0.0.1", 0) as server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    assert link.losses == 0, "nothing was lost"
