"""Replies that no command of the worker has: well-formed RESP of another shape, and errors of no known kind."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

NONSENSE: Final = (
    b":5\r\n",
    b"+what\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"*1\r\n:1\r\n",
    b"*1\r\n*-1\r\n",
    b"*2\r\n:1\r\n:1\r\n",
    b"*1\r\n*2\r\n+audio:sample:requests\r\n$-1\r\n",
    b"*1\r\n*2\r\n+audio:sample:requests\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*1\r\n+size\r\n",
    b"*1\r\n*2\r\n+audio:sample:requests\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n+size\r\n:8\r\n",
    b"*2\r\n-ERR within\r\n-ERR within\r\n",
    b"*3\r\n$7\r\nsettled\r\n+soon\r\n:1\r\n",
    b"*7\r\n$5\r\nstale\r\n:1\r\n*1\r\n:99\r\n*1\r\n+a\r\n*1\r\n+b\r\n*0\r\n*0\r\n",
    b"*4\r\n$7\r\nunknown\r\n:1\r\n*0\r\n*0\r\n",
    b"*4\r\n$8\r\npmessage\r\n:1\r\n:2\r\n:3\r\n",
    b"*1\r\n$8\r\npmessage\r\n",
    b"-\r\n",
    b"-NOSUCHKIND of \xff error\r\n",
    b"-NOSCRIPT there is one\r\n",
    b"%1\r\n+a map\r\n:3\r\n",
)


@contextmanager
def speaking(speak: Callable[[], bytes]) -> Iterator[int]:
    """Answer every connection with something, once it has said something, and close it; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_speak_to_all, args=(listening, speak))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _speak_to_all(listening: socket.socket, speak: Callable[[], bytes]) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection:
            connection.recv(1 << 16)
            connection.sendall(speak())
