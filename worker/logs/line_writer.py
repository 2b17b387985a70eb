"""Write lines to a file descriptor from a thread, so that a slow reader cannot delay the worker."""

import os
import queue
import select
import threading

# PIPE_BUF on Linux: below it, lines of several processes on one pipe do not mix.
MAX_LINE_BYTES = 4096
BUFFER_LINES = 10_000


class LineWriter:
    """A daemon thread that writes lines to a file descriptor; its users never wait, and never see an error.

    A line that cannot be written (full buffer, closed reader, full disk) is dropped and counted.

    Attributes:
        dropped: Lines dropped so far.
    """

    def __init__(self, fd: int) -> None:
        """Start the thread.

        Args:
            fd: File descriptor to write to.
        """
        self._fd = fd
        # Not queue.Queue: only SimpleQueue.put is reentrant, and a destructor that logs interrupts it.
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._torn = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Add one line to the buffer; drop and count it if the buffer is full."""
        with self._lock:
            if self._lines.qsize() < BUFFER_LINES:
                self._lines.put(line.encode(errors="backslashreplace") + b"\n")
            else:
                self.dropped += 1

    # structlog calls these with a rendered line.
    debug = info = warning = error = write

    def close(self, deadline_s: float) -> None:
        """End the thread when everything is written, and wait for that at most `deadline_s` seconds."""
        self._lines.put(None)
        self._thread.join(deadline_s)

    def _run(self) -> None:
        """Write lines as they come, several waiting ones at once, until `close`."""
        chunk = b""
        while (line := self._lines.get()) is not None:
            if len(chunk) + len(line) > MAX_LINE_BYTES:
                self._write_chunk(chunk)
                chunk = b""
            chunk += line
            if self._lines.empty():
                self._write_chunk(chunk)
                chunk = b""
        self._write_chunk(chunk)

    def _write_chunk(self, chunk: bytes) -> None:
        """Write whole lines; a closed reader or a full disk loses these, and the next ones are tried again."""
        # End a line that was cut short, or it and the next one would be unreadable.
        rest = b"\n" + chunk if self._torn else chunk
        try:
            while rest:
                written = self._write_some(rest)
                self._torn = not rest[:written].endswith(b"\n") if written else self._torn
                rest = rest[written:]
        except OSError:
            with self._lock:
                self.dropped += min(rest.count(b"\n"), chunk.count(b"\n"))

    def _write_some(self, rest: bytes) -> int:
        """Write as much as fits now; if the descriptor is non-blocking and full, wait until it is not."""
        try:
            return os.write(self._fd, rest)
        except BlockingIOError:
            poll = select.poll()
            poll.register(self._fd, select.POLLOUT)
            poll.poll()
            return 0
