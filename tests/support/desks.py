"""A desk as people run it, in a process of its own, and requests as browsers and strangers send them."""

import http.client
import json
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.command import start_command
from tests.support.forks import Forked
from tests.support.waiting import wait_until_sync

STARTED_S = 60.0
_STOP_S = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, headers by their names in lower case, and the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class RunningDesk:
    """A desk that listens on loopback."""

    process: Forked
    port: int
    printed: Path

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str | None) -> Answer:
        """Send a request with exactly these headers, `_` for `-`; the Host is the desk's own unless it is given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            given = {"Host": self.host, **{name.replace("_", "-"): value for name, value in headers.items()}}
            given |= {"Content-Length": str(len(body))} if body is not None and "Content-Length" not in given else {}
            for name, value in given.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(body)
            found = connection.getresponse()
            return Answer(found.status, {name.lower(): value for name, value in found.getheaders()}, found.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str | None) -> Answer:
        return self.ask("GET", path, None, **headers)

    def post(self, path: str, document: Any, **headers: str | None) -> Answer:
        """Send a document as the page of this desk does."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        own = {"Origin": self.url, "Content_Type": "application/json"}
        return self.ask("POST", path, body, **{**own, **headers})

    def memory_bytes(self) -> int:
        """Return the memory that it has in use, on Linux."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", text)[0]) << 10

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it, and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(_STOP_S)


@contextmanager
def running_desk(settings: Mapping[str, str], folder: Path, *options: str) -> Iterator[RunningDesk]:
    """Run a desk on a free port of loopback."""
    printed = folder / f"desk-{len([*folder.glob('desk-*')])}.txt"
    words = ["desk", "--port", "0", *options]
    desk = start_command(*words, settings=settings, out=printed)

    def port() -> int | None:
        assert desk.poll() is None, printed.read_text()
        found = re.search(r"desk on http://\S+:(\d+)/", printed.read_text())
        return int(found[1]) if found else None

    try:
        wait_until_sync(port, timeout_s=STARTED_S, what="the desk says where it listens")
        running = RunningDesk(desk, port() or 0, printed)
        yield running
        running.stop()
    finally:
        desk.kill()


@dataclass
class Event:
    """An event of a stream."""

    kind: str
    document: Any


class EventStream:
    """What a browser does by `new EventSource(...)`: the events as they come."""

    def __init__(self, desk: RunningDesk, path: str = "/api/events", **headers: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", desk.port, timeout=60)
        self._connection.request("GET", path, headers=headers)
        self.answer = self._connection.getresponse()

    def __iter__(self) -> Iterator[Event]:
        kind, data = "", b""
        for line in self.answer:
            name, _, value = line.rstrip(b"\n").partition(b": ")
            if name == b"event":
                kind = value.decode()
            elif name == b"data":
                data = value
            elif not name and kind:
                yield Event(kind, json.loads(data))
                kind = ""

    def next(self, kind: str) -> Any:
        """Wait for an event of a kind, and return its document."""
        return next(event.document for event in self if event.kind == kind)

    def close(self) -> None:
        self._connection.close()
        self.answer.close()
