"""Clients in processes of every kind: forked, spawned, pickled, interrupted, killed; and what an import costs."""

import json
import os
import pickle
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.background import serving_in_background
from tests.support.jobs import PROGRAMS, keys_of_clients, run_job, start_job
from tests.support.servers import connect
from tests.support.waiting import wait_until_sync
from worker.client import AsyncSampleClient, ClientClosedError, SampleClient
from worker.core.keys import Keys

SOON_S = 30.0


def test_importing_the_client_costs_no_heavy_package() -> None:
    heavy = "{'numpy', 'asyncpg', 'structlog', 'pydantic', 'click', 'rich', 'anyio', 'torch', 'dotenv'}"
    program = f"import sys, worker.client; print(sorted({heavy} & set(sys.modules)))"
    assert run_job("-c", program).strip() == "[]"


def test_importing_the_client_loads_nothing_of_the_worker_that_serves() -> None:
    loaded = "{name.split('.')[1] for name in sys.modules if name.startswith('worker.')}"
    program = f"import sys, worker.client; print(*sorted({loaded}))"
    assert run_job("-c", program).split() == ["adapters", "client", "core", "errors", "settings"]


@pytest.mark.fault("a job forks, is interrupted, or hands a client to another process")
@pytest.mark.any_redis
def test_without_pytorch_its_classes_say_how_to_install_it() -> None:
    program = """
import sys
sys.modules["torch"] = None
try:
    import worker.client.torch
except ImportError as error:
    print(error)
"""
    said = run_job("-c", program)
    assert said.startswith("there is no PyTorch: pip install 'sampling-worker[torch]'; for PyTorch's build for CPU ")


@pytest.mark.any_redis
@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("how", ["fork", "spawn", "os-fork"])
def test_each_process_of_a_family_works_on_its_own(redis_url: str, prefix: str, how: str) -> None:
    found = json.loads(run_job(str(PROGRAMS / "families.py"), redis_url, prefix, how))
    everybody = [found["before"], *found["children"], found["after"]]
    assert all(one["sizes"] == [5] for one in everybody)
    assert len({one["pid"] for one in everybody}) == 1 + len(found["children"])
    assert found["before"]["numbers"] == [str(number) for number in range(20)]
    assert found["after"]["numbers"] == [str(number) for number in range(20, 40)]
    for child in found["children"]:
        assert child.get("numbers", found["after"]["numbers"]) == found["after"]["numbers"]
    assert keys_of_clients(redis_url, prefix) == []  # no process has closed its client, but the plainly forked one


@pytest.mark.fault("a job forks, is interrupted, or hands a client to another process")
@pytest.mark.any_redis
@pytest.mark.usefixtures("worker")
def test_a_process_may_be_forked_at_any_moment(redis_url: str, prefix: str) -> None:
    """This includes moments at which a thread holds a lock of the client: a child would wait for it for ever."""
    quiet = ("-W", "ignore:This process .* is multi-threaded")
    assert run_job(*quiet, str(PROGRAMS / "forks.py"), redis_url, prefix, "60") == "63 of 63"


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("name", ["", "mine"])
def test_an_asynchronous_client_may_be_used_on_one_loop_after_the_other(redis_url: str, prefix: str, name: str) -> None:
    found = json.loads(run_job("-W", "error", str(PROGRAMS / "loops.py"), redis_url, prefix, name))
    assert found["heard"] == [str(number) for number in range(15)]
    assert "another event loop, which has not ended; accepted: a client for each event loop" in found["sentence"]
    assert keys_of_clients(redis_url, prefix) == []


def test_streams_stay_in_their_process(redis_url: str, prefix: str) -> None:
    asynchronous = AsyncSampleClient(redis_url, prefix=prefix)
    assert pickle.loads(pickle.dumps(asynchronous)).stream(4)  # noqa: S301 - its own bytes
    with SampleClient(redis_url, prefix=prefix) as client:
        for stream in (client.stream(4), asynchronous.stream(4)):
            with pytest.raises(TypeError, match=r"belongs to its process; accepted: pickle its client"):
                pickle.dumps(stream)


@pytest.mark.fault("a job forks, is interrupted, or hands a client to another process")
@pytest.mark.any_redis
def test_an_interrupted_stream_goes_on_with_the_sample_that_it_waited_for(redis_url: str, prefix: str) -> None:
    program = (
        f"from worker.client import SampleClient\nclient = SampleClient({redis_url!r}, prefix={prefix!r})\n"
        "import os, signal, threading\n"
        "stream = client.stream(4, request_ids=str, count=9, timeout_s=None)\n"
        "for _ in range(3):\n"
        "    try:\n"
        "        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "        next(stream)\n"
        "    except KeyboardInterrupt:\n        print('interrupted', flush=True)\n"
        "print(*(sample.request_id for sample in stream))\nclient.close()\n"
    )
    with start_job("-c", program, stdout=subprocess.PIPE) as process, connect(redis_url) as server:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(3)] == ["interrupted\n"] * 3
        wait_until_sync(lambda: server.xlen(Keys(prefix).requests) == 8, timeout_s=SOON_S, what="it waits")
        with serving_in_background(redis_url, prefix):
            assert process.communicate(timeout=SOON_S)[0].split() == [str(number) for number in range(9)]
        assert server.hget(Keys(prefix).stats, "requests:") == b"9"
    assert process.returncode == 0


@pytest.mark.any_redis
@pytest.mark.usefixtures("worker")
def test_a_pickled_client_is_one_of_its_own(redis_url: str, prefix: str) -> None:
    with SampleClient(redis_url, prefix=prefix, timeout_s=20) as client:
        client.sample()
        with pickle.loads(pickle.dumps(client)) as copy:  # noqa: S301 - its own bytes
            assert copy.sample(7).counts
            assert len(keys_of_clients(redis_url, prefix)) == 4
    closed = pickle.loads(pickle.dumps(client))  # noqa: S301 - its own bytes
    with pytest.raises(ClientClosedError):
        closed.sample()


@pytest.mark.fault("a job forks, is interrupted, or hands a client to another process")
@pytest.mark.any_redis
def test_an_interrupt_gets_through_a_wait_without_end(redis_url: str, prefix: str) -> None:
    program = (
        f"from worker.client import SampleClient\nclient = SampleClient({redis_url!r}, prefix={prefix!r})\n"
        "try:\n    client.sample(timeout_s=None)\nexcept KeyboardInterrupt:\n    print('interrupted')\n"
    )
    with start_job("-c", program, stdout=subprocess.PIPE) as process, connect(redis_url) as server:
        wait_until_sync(lambda: server.xlen(Keys(prefix).requests) == 1, timeout_s=SOON_S, what="it waits")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=SOON_S)[0] == "interrupted\n"
    assert process.returncode == 0
    assert keys_of_clients(redis_url, prefix) == []


@pytest.mark.fault("a training is killed and starts again: nothing comes twice, nothing is missing")
@pytest.mark.usefixtures("worker")
def test_a_killed_job_that_starts_again_repeats_nothing_and_loses_nothing(
    redis_url: str, prefix: str, tmp_path: Path
) -> None:
    count, notes = 600, tmp_path / "notes"
    job = (str(PROGRAMS / "job.py"), redis_url, prefix, str(notes), str(count))

    def lines() -> list[str]:
        return notes.read_text().splitlines() if notes.exists() else []

    def kill_after(consumed: int) -> None:
        with start_job(*job) as process:
            wait_until_sync(lambda: len(lines()) >= consumed, timeout_s=SOON_S, what="some are consumed")
            os.kill(process.pid, signal.SIGKILL)

    for consumed in (20, 150, 300):
        kill_after(consumed)
    run_job(*job)
    done = [line.split() for line in lines()]
    assert [name for name, *_ in done] == [f"step-{number}" for number in range(count)]
    assert len({entry_id for _, entry_id, _ in done}) == count
    with connect(redis_url) as server:
        assert server.hget(Keys(prefix).stats, "requests:") == str(count).encode()
        assert keys_of_clients(redis_url, prefix) == []
