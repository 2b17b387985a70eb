"""What `up` prints: what happens, where everything is, and one line about how it stands, renewed in its place."""

import shlex
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from worker.cli.output import complain
from worker.cli.printing import print_text, shares_text
from worker.cli.words import ago_text, counted, number_text
from worker.core.redaction import escape, redact
from worker.core.weights.left_out import unweighted_text
from worker.errors import OutputError
from worker.run_dir.announcement import Announcement
from worker.up import Shown, Status, Wanted, run_up
from worker.up.servers import Ports

_CLEARED: Final = "\r\x1b[K"
_INDENT: Final = "  "
_LARGEST: Final = 3
_SCAN, _IMPORT = ("catalog", "scan"), ("catalog", "import")
_OF_BOTH: Final = ("--category",)
_KALDI: Final = "wav.scp"  # a folder with this file is a manifest
_SNIPPET: Final = (
    "from worker.client.torch import ChunkIdStream",
    'for sample in ChunkIdStream(size=32, columns=("path", "start_s"), batches=100):',
    "    print(sample.paths[:2], sample.starts_s[:2], sample.counts)",
)


def start_up(
    library: Path | None,
    options: Sequence[str],
    data: Path | None,
    port: int | None,
    database_port: int | None,
    *,
    desk: bool,
) -> None:
    """Run servers, library and worker until a signal comes.

    Args:
        library: A folder, or a manifest; None: what is there already.
        options: Options of `catalog scan`, or of `catalog import` for a manifest; each with its value behind it.
        data: The data folder; None: that of this user.
        port: Port of Valkey; None: that of the last time, or a free one.
        database_port: The same of PostgreSQL.
        desk: Whether a desk runs as well, opened in a browser.

    Raises:
        click.exceptions.Exit: The library could not be brought in.
    """
    verb = _verb(library, options)
    asked = {"--port": port is not None, "--database-port": database_port is not None, "--desk": desk}
    screen = _Terminal(verb, [option for option, is_given in asked.items() if is_given])
    if status := run_up(Wanted(verb, data, Ports(port, database_port), desk), screen):
        raise click.exceptions.Exit(status)


def _verb(library: Path | None, options: Sequence[str]) -> list[str]:
    """Choose the verb that brings a library in.

    Raises:
        click.UsageError: There is no such library, or it takes no options.
    """
    if library is None or not library.exists():
        if library is None and not options:
            return []
        what = f"{options[0]} is for a LIBRARY" if library is None else f"there is no file or folder {str(library)!r}"
        raise click.BadParameter(what)
    if library.is_dir() and not (library / _KALDI).exists():
        return [*_SCAN, *options, "--", str(library)]
    if scanning := [option for option in options[::2] if option not in _OF_BOTH]:
        raise click.BadParameter(f"{scanning[0]} is for a folder of audio, and {str(library)!r} is a manifest")
    return [*_IMPORT, *options, "--", str(library)]


class _Terminal:
    """Standard output, a terminal or not. `up` goes on even if nobody reads it."""

    def __init__(self, bring_in: Sequence[str], asked: Sequence[str] = ()) -> None:
        self._bring_in = bring_in
        self._asked = asked
        self._has_status = False

    @property
    def wants_status(self) -> bool:
        return sys.stdout.isatty()

    def say(self, sentence: str) -> None:
        self.clear_status()
        with suppress(OutputError):
            print_text(sentence)

    def warn(self, sentence: str) -> None:
        self.clear_status()
        complain(sentence)

    def show_running(self, running: Announcement) -> None:
        since = ago_text(round(running.since * 1000))
        self.say(f"it runs already (process {running.pid}, started {since}); Ctrl-C there ends it")
        self._show_places(running)
        if self._bring_in:
            command = shlex.join(word for word in self._bring_in if word != "--")
            self.warn(f"the library was not brought in; accepted: sampling-worker {command}, while it runs")
        if self._asked:
            self.warn(f"not followed: {', '.join(self._asked)}; accepted: to end what runs, and the same again")

    def show_ready(self, shown: Shown) -> None:
        self._show_places(shown.announcement)
        self.say(f"ready after {shown.took_s:.1f} s: {_library_text(shown)}")
        if shown.shares and not shown.by_query and (unweighted := unweighted_text(shown.shares, shown.ready)):
            self.warn(unweighted)
        self.say("")
        self.say("In a training loop, with nothing to set:")
        for line in _SNIPPET:
            self.say(f"{_INDENT}{line}")
        self.say("Change the weights while it runs:")
        self.say(f"{_INDENT}sampling-worker weights set {_weights_text(shown.ready)}")
        self.say("For other programs and shells:")
        self.say(f'{_INDENT}eval "$(sampling-worker env)"')
        self.say("Ctrl-C ends it all, and the next `up` goes on from here.")

    def show_status(self, status: Status) -> None:
        if self.wants_status:
            self._has_status = True
            width = shutil.get_terminal_size().columns - 1
            with suppress(OutputError):
                sys.stdout.write(f"{_CLEARED}{escape(_status_text(status))[:width]}")

    def clear_status(self) -> None:
        if self._has_status:
            self._has_status = False
            with suppress(OutputError):
                sys.stdout.write(_CLEARED)

    def _show_places(self, running: Announcement) -> None:
        places = {
            "data": running.data,
            "Redis": redact(running.settings["REDIS_URL"]),
            "PostgreSQL": redact(running.settings["DATABASE_URL"]),
            "worker's log": running.log,
        }
        for name, place in places.items():
            self.say(f"{_INDENT}{name:<14}{place}")


def _library_text(shown: Shown) -> str:
    """Write what there is to draw, or how to get something."""
    if shown.by_query:
        return "chunks are those of WORKER_CHUNKS_QUERY"
    if not shown.ready:
        return "no chunk is READY yet; sampling-worker catalog scan DIR registers a folder, while it runs"
    chunks = counted(sum(shown.ready.values()), "chunk")
    return f"{chunks} READY in {counted(len(shown.ready), 'category', 'categories')}"


def _weights_text(ready: Mapping[str, int]) -> str:
    """Write weights as an example, of the largest categories."""
    names = sorted(ready, key=lambda name: -ready[name])[:_LARGEST] or ["voice", "music", "documentary"]
    shares = {1: ("1",), 2: ("0.7", "0.3"), 3: ("0.7", "0.2", "0.1")}[len(names)]
    return " ".join(f"{name}={share}" for name, share in zip(names, shares, strict=True))


def _status_text(status: Status) -> str:
    if status.trouble:
        return f"{time.strftime('%H:%M:%S')}  {status.trouble}"
    rate = "" if status.rate is None else f"{number_text(status.rate)} requests/s  "
    chunks = f"{counted(status.chunks, 'chunk')} READY"
    weights = "" if status.shares is None else f"  weights {shares_text(status.shares)}"
    return f"{rate}{chunks}{weights}"
