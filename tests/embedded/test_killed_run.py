"""A test run that is killed by SIGKILL leaves no process behind: no server, no worker and no job."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.servers import is_alive
from tests.support.waiting import wait_until_sync
from worker.settings.environment import environment_with

ROOT = Path(__file__).parents[2]
MARK = "MARK_OF_A_KILLED_RUN"
LEAST = 8
"""Two servers with a leash each, three workers, and a job; a leash, a fork server and a minder of workers."""
SOON_S = 120.0
RUN = """
import pathlib, time

from tests.support.command import RunningWorker
from tests.support.jobs import start_quiet_job
from worker.demo.workers import WorkerProcess
from worker.embedded import PostgresServer, RedisServer

FOLDER = pathlib.Path(__file__).parent


def test_that_never_ends():
    redis, postgres = RedisServer(FOLDER / "redis"), PostgresServer(FOLDER / "postgres")
    redis.start(), postgres.start()
    settings = {"REDIS_URL": redis.url, "DATABASE_URL": postgres.url}
    running = [
        RunningWorker(settings, FOLDER, "forked").start(),
        RunningWorker(settings, FOLDER, "fresh", fresh=True).start(),
        start_quiet_job("-c", "import time; time.sleep(600)"),
        WorkerProcess("of-the-demo", settings, FOLDER / "demo.log"),
    ]
    running[-1].start()
    (FOLDER / "started").touch()
    time.sleep(600)
"""


def marked(mark: str) -> list[int]:
    """List the processes of a run: those with its mark in their environment or command line, as they began."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
        except OSError:  # it has ended, or is another user's
            continue
        if mark.encode() in words and is_alive(int(folder.name)):
            found.append(int(folder.name))
    return found


def test_a_killed_run_leaves_no_process_behind() -> None:
    with tempfile.TemporaryDirectory(prefix="killed-run-") as folder:
        Path(folder).chmod(0o755)
        program = Path(folder, "test_endless.py")
        program.write_text(RUN)
        command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "-c", os.devnull, str(program)]
        environment = environment_with({"PYTHONPATH": str(ROOT), MARK: folder})
        run = subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.DEVNULL)
        try:
            wait_until_sync(Path(folder, "started").exists, timeout_s=SOON_S, what="the run has started all")
            assert len(marked(folder)) >= LEAST
        finally:
            run.send_signal(signal.SIGKILL)
            run.wait()
        wait_until_sync(lambda: not marked(folder), timeout_s=SOON_S, what="nothing of the run is left")
