"""A user's machine, on which `up` runs."""

import json
import subprocess
from pathlib import Path

from tests.support.command import run_command, start_command
from tests.support.forks import Forked
from tests.support.waiting import wait_until_sync

CHUNKS = 300
READY_S = 120.0


class Machine:
    """A user's machine: a run directory, a library, and `up`s on it that end with the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data of 'ü'"
        self.settings = {"WORKER_RUN_DIR": str(folder / "run")}
        self.library = folder / "library.csv"
        rows = (f"/a/{i}.wav,{('voice', 'music', 'documentary')[i % 3]},{1 + i % 7}\n" for i in range(CHUNKS))
        self.library.write_text("path,category,duration_s\n" + "".join(rows))
        self.ups: list[Forked] = []

    def up(self, *words: object, **settings: str) -> Forked:
        out = self.folder / f"out-{len(self.ups)}"
        given = {**self.settings, **settings}
        self.ups.append(start_command("up", *map(str, words), "--data", str(self.data), settings=given, out=out))
        return self.ups[-1]

    def printed(self, up: Forked) -> str:
        return (self.folder / f"out-{self.ups.index(up)}").read_text()

    def wait_ready(self, up: Forked) -> None:
        def is_over() -> bool:
            return "Ctrl-C ends it all" in self.printed(up) or up.poll() is not None

        wait_until_sync(is_over, timeout_s=READY_S, what="up is ready")
        assert up.poll() is None, self.printed(up)

    def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return run_command(*words, settings={**self.settings, **settings}, cwd=self.folder)

    def urls(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.run("env", "--json", "--data", str(self.data)).stdout)
        return found

    def processes(self) -> dict[int, str]:
        """Find the processes that work in the data folder: a worker, servers and their children."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if (entry / "cwd").readlink().is_relative_to(self.data):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # it has just ended
                continue
        return found

    def pid_of(self, words: str) -> int:
        return min(pid for pid, command in self.processes().items() if words in command)
