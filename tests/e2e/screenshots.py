"""Take the pictures of the README: what verbs print, and what `report` draws, of a real run.

    PYTHONPATH=. python tests/e2e/screenshots.py [--seconds S]

It starts servers and a worker of its own, and writes `deploy/pictures/`.
"""

import argparse
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tests.support.command import RunningWorker, run_command
from tests.support.servers import running
from worker.adapters.postgres.chunks import import_chunks
from worker.adapters.postgres.migrate import migrate
from worker.client import SampleClient
from worker.demo.library import describe_chunks
from worker.embedded import PostgresServer, RedisServer

PICTURES = Path(__file__).parents[2] / "deploy" / "pictures"
_CHUNKS = 100_000
_WIDTH = 92
_MIXES = (
    "voice=0.7 music=0.2 documentary=0.1",
    "voice=0.2 music=0.5 conference=0.3",
    "voice=0.4 music=0.3 conference=0.2 custom=0.1",
)


@contextmanager
def asking(url: str) -> Iterator[None]:
    """Ask for samples in a thread, as a training loop at 200 steps a second does."""
    over = threading.Event()

    def ask() -> None:
        with SampleClient(url, prefix="audio") as client:
            for _ in client.stream(size=32):
                if over.wait(0.005):
                    return

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def run(command: str, settings: dict[str, str], folder: Path) -> str:
    """Run a verb; return what it printed.

    Raises:
        RuntimeError: It failed.
    """
    done = run_command(*command.split(), settings=settings, cwd=folder)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr}")
    return done.stdout


def draw(name: str, command: str, printed: str) -> None:
    """Draw what a verb printed as a terminal shows it."""
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=_WIDTH, file=nowhere, force_terminal=True)
        console.print(Text(f"$ sampling-worker {command}", style="bold"))
        console.print(Text.from_ansi(printed.rstrip()))
    drawn = console.export_svg(title="", theme=MONOKAI, unique_id=name)
    without_fonts = re.sub(r"(?s)@font-face \{.*?\}\s*", "", drawn)  # of another server; any monospace will do
    (PICTURES / f"{name}.svg").write_text(without_fonts.rstrip() + "\n")


def show(settings: dict[str, str], folder: Path, seconds: float) -> None:
    """Change weights while samples are asked for, and take the pictures."""
    terminal = settings | {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": str(_WIDTH)}
    with asking(settings["REDIS_URL"]):
        for mix in _MIXES:
            command = f"weights set {mix} --wait"
            draw("weights-set", command, run(command, terminal, folder))
            run("stats --clear", settings, folder)
            time.sleep(seconds / len(_MIXES))
        draw("stats", "stats", run("stats", terminal, folder))
        run(f"report w-1.log --output {PICTURES / 'report.svg'}", {}, folder)


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long samples are asked for")
    seconds = parser.parse_args().seconds
    PICTURES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as made,
        running(PostgresServer) as postgres,
        running(RedisServer) as redis,
    ):
        folder = Path(made)
        (folder / "run").mkdir(mode=0o700)
        settings = {"REDIS_URL": redis.url, "DATABASE_URL": postgres.url, "WORKER_RUN_DIR": str(folder / "run")}
        anyio.run(migrate, postgres.url)
        anyio.run(import_chunks, postgres.url, list(describe_chunks(_CHUNKS)))
        worker = RunningWorker({**settings, "WORKER_STATS_INTERVAL_S": "1"}, folder).start().wait_ready()
        try:
            show(settings, folder, seconds)
        finally:
            worker.stop()


if __name__ == "__main__":
    main()
