"""A consumer name is the same after a restart, and never that of another live worker of this host."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path

from tests.support.waiting import wait_until_sync
from worker.run_dir.consumer_name import consumer_name, names_of

_SOON_S = 30.0
_HOLD = """
import sys
from pathlib import Path
from worker.run_dir.consumer_name import consumer_name
with consumer_name(Path(sys.argv[1]), None) as name:
    print(name, flush=True)
    sys.stdin.read()
"""


@contextmanager
def _another_process(run_dir: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Keep a name in a process of its own; yield that process and the name."""
    command = [sys.executable, "-c", _HOLD, str(run_dir)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def _free(run_dir: Path) -> str:
    with consumer_name(run_dir, None) as name:
        return name


def test_a_given_name_is_taken_as_it_is(tmp_path: Path) -> None:
    with consumer_name(tmp_path, "mine") as one, consumer_name(tmp_path, "mine") as two:
        assert (one, two) == ("mine", "mine")
    assert list(tmp_path.iterdir()) == []


def test_names_are_numbered_from_one_and_free_again_at_the_end(tmp_path: Path) -> None:
    host = socket.gethostname()
    with ExitStack() as stack:
        names = [stack.enter_context(consumer_name(tmp_path, None)) for _ in range(3)]
        assert names == [f"{host}-{number}" for number in (1, 2, 3)]
    assert _free(tmp_path) == names[0]


def test_the_least_free_number_is_taken(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stack.enter_context(consumer_name(tmp_path, None))
        with consumer_name(tmp_path, None) as second:
            stack.enter_context(consumer_name(tmp_path, None))
        assert _free(tmp_path) == second


def test_a_name_is_free_again_when_its_process_was_killed(tmp_path: Path) -> None:
    with _another_process(tmp_path) as (first, one), _another_process(tmp_path) as (_, two):
        assert (one[-2:], two[-2:], _free(tmp_path)[-2:]) == ("-1", "-2", "-3")
        first.kill()
        wait_until_sync(lambda: first.poll() is not None, timeout_s=_SOON_S, what="the first process is gone")
        assert _free(tmp_path) == one
        with _another_process(tmp_path) as (_, again):
            assert again == one


def test_hosts_that_differ_have_names_that_differ() -> None:
    hosts = ["web-1.a", "web-1.b", "web-1", "x" * 300, ""]
    names = [list(islice(names_of(host), 2)) for host in hosts]
    assert names[:3] == [[f"{host}-1", f"{host}-2"] for host in hosts[:3]]
    assert all(1 <= len(name) <= 128 for pair in names for name in pair)
    assert names[4] == ["worker-1", "worker-2"]
