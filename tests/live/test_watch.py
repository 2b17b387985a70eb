"""`watch` as people run it: once, into a pipe, as JSON, on a terminal; and a Redis that goes away and comes back."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import Place
from tests.support.command import run_command, start_command
from tests.support.streams import Desk, desk_at
from tests.support.waiting import wait_until
from tests.support.workers import DONE_S, answers
from worker.core.weights.changes import WantedChange, plan_change
from worker.embedded import RedisServer
from worker.live import LiveDesk
from worker.settings.environment import environment_with


async def change(desk: Desk, value: str) -> None:
    order = WantedChange(value, "ann", "louder")
    assert await desk.writer().change(None, lambda found: plan_change(found, order))


def read_all(fd: int) -> bytes:
    """Read a terminal until its program has ended."""
    found = b""
    try:
        while part := os.read(fd, 65_536):
            found += part
    except OSError:  # Linux says so at the end of a terminal
        pass
    return found


@pytest.mark.any_redis
async def test_watch_once_in_a_pipe_and_as_json(desk: Desk, place: Place, tmp_path: Path) -> None:
    settings = {"REDIS_URL": place.url, "WORKER_PREFIX": place.prefix}
    piped, lines = tmp_path / "piped", tmp_path / "lines"
    await change(desk, '{"voice": 3, "music": 1}')
    async with place.working() as parts:
        await answers(desk, await desk.add({"size": 10}))
        once = await asyncio.to_thread(run_command, "watch", "--once", settings=settings, cwd=tmp_path)
        [document] = (
            await asyncio.to_thread(run_command, "watch", "--once", "--json", settings=settings, cwd=tmp_path)
        ).stdout.splitlines()
        watching = start_command("watch", settings=settings, out=piped)
        programs = start_command("watch", "--json", settings=settings, out=lines)
        await wait_until(lambda: "applied by 1 of 1" in piped.read_text(), timeout_s=DONE_S, what="it watches")
        await change(desk, '{"music": 1}')
        await wait_until(lambda: piped.read_text().count("weights ") == 2, timeout_s=DONE_S, what="a change is told")
        await wait_until(lambda: lines.read_text().count("\n") > 2, timeout_s=DONE_S, what="documents come")
        for process in (watching, programs):
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
        version = parts.current.weights.in_force(None).weights.version
    assert once.returncode == 0, once.stderr
    assert f"{place.prefix}  global weights" in once.stdout
    assert "set by ann" in once.stdout
    assert "\x1b" not in once.stdout
    assert json.loads(document)["weights"]["set_by"]["who"] == "ann"
    assert f"weights {version}  music 100.0%  set by ann " in piped.read_text()
    assert {json.loads(line)["prefix"] for line in lines.read_text().splitlines()} == {place.prefix}


@pytest.mark.any_redis
async def test_watch_on_a_terminal_ends_quietly(desk: Desk, place: Place, tmp_path: Path) -> None:
    settings = {"REDIS_URL": place.url, "WORKER_PREFIX": place.prefix, "PYTHONPATH": str(Path(__file__).parents[2])}
    shown: dict[str, bytes] = {}
    await change(desk, '{"voice": 1}')
    for name, more in (("colours", {}), ("none", {"NO_COLOR": "1"})):
        ours, theirs = pty.openpty()
        environment = environment_with({**settings, "TERM": "xterm", "COLUMNS": "60", "LINES": "20", **more})
        process = subprocess.Popen(  # noqa: ASYNC220 - it starts at once
            [sys.executable, "-m", "worker", "watch"], env=environment, cwd=tmp_path, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        first = os.read(ours, 1)
        os.set_blocking(ours, False)
        parts = [first]

        def has_come(parts: list[bytes] = parts, ours: int = ours) -> bool:
            try:
                parts.append(os.read(ours, 65_536))
            except BlockingIOError:
                return False
            return b"no worker runs" in b"".join(parts)

        await wait_until(has_come, timeout_s=DONE_S, what="the picture is there")
        os.set_blocking(ours, True)
        process.send_signal(signal.SIGINT)
        shown[name] = b"".join(parts) + read_all(ours)
        assert process.wait(20) == 130
        os.close(ours)
    assert b"Traceback" not in b"".join(shown.values())
    assert b"\x1b[33m" in shown["colours"]
    assert b"\x1b[33m" not in shown["none"]


@pytest.mark.fault("Redis is killed while somebody watches")
@pytest.mark.any_redis
async def test_a_redis_that_is_lost_is_said_and_comes_back(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "server") as server:
        async with desk_at(server.url, "p") as desk:
            await change(desk, '{"voice": 1}')
            live = LiveDesk(desk.client, desk.keys)
            with live.watching(None):
                await live.look()
                before: dict[str, Any] = live.view(None)
                server.kill()
                await live.look()
                lost = live.view(None)
                await live.look()
                since_ms = live.view(None)["redis"]["since_ms"]
                server.start()

                async def is_back() -> bool:
                    await live.look()
                    return bool(live.view(None)["redis"]["ok"])

                await wait_until(is_back, timeout_s=DONE_S, what="Redis is found again")
                after = live.view(None)
            live.close()
    assert (before["redis"]["ok"], lost["redis"]["ok"], live.error) == (True, False, None)
    assert "is not reachable" in lost["redis"]["problem"]
    assert lost["redis"]["since_ms"] == since_ms
    assert {**lost, "redis": None} == {**before, "redis": None}
    assert after["at_ms"] > before["at_ms"]
