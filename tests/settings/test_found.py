"""Where nothing is given, the settings are those of the `up` that runs here; nobody gets half of one."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.client.address import find_address
from worker.errors import SettingsError
from worker.run_dir.announcement import Announcement, announcement_path, write_announcement
from worker.run_dir.processes import process_start
from worker.settings.environment import run_dirs
from worker.settings.for_up import read_given
from worker.settings.found import find_up
from worker.settings.model import load_settings
from worker.settings.servers import read_server_settings

REDIS, DATABASE = "redis://127.0.0.1:1/0", "postgresql://a@127.0.0.1:2/a"
NOWHERE = Path("/nowhere")
Announce = Callable[..., dict[str, str]]


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir(mode=0o700)
    return tmp_path / "run"


@pytest.fixture
def announce(run_dir: Path) -> Announce:
    """Announce an `up` as this process; return an environment that leads to it."""

    def write(data: str = "/data", **settings: str) -> dict[str, str]:
        all_settings = {"REDIS_URL": REDIS, "DATABASE_URL": DATABASE, "WORKER_RUN_DIR": str(run_dir), **settings}
        pid = os.getpid()
        made = Announcement(pid, process_start(pid), 0.0, data, "", all_settings)
        write_announcement(announcement_path(run_dir, Path(data)), made)
        return {"WORKER_RUN_DIR": str(run_dir)}

    return write


def test_the_up_that_runs_is_found_by_commands_and_workers(announce: Announce) -> None:
    environ = announce(WORKER_PREFIX="mine", WORKER_BATCH="7")
    found = read_server_settings(environ, need=["redis", "database"], dotenv=NOWHERE)
    assert (found.redis_url, found.database_url, found.prefix) == (REDIS, DATABASE, "mine")
    assert read_server_settings(environ, need=["redis"], dotenv=NOWHERE).database_url == ""
    settings = load_settings(environ, dotenv=NOWHERE)
    assert (settings.redis_url.get_secret_value(), settings.prefix, settings.batch) == (REDIS, "mine", 7)


def test_the_environment_and_its_file_come_first(announce: Announce, tmp_path: Path) -> None:
    environ = announce(WORKER_PREFIX="mine")
    assert read_server_settings({**environ, "WORKER_PREFIX": "other"}, need=["redis"], dotenv=NOWHERE).prefix == "other"
    other = {"REDIS_URL": "redis://other", "DATABASE_URL": "postgresql://other/o"}
    found = read_server_settings({**environ, **other}, need=["redis", "database"], dotenv=NOWHERE)
    assert (found.redis_url, found.prefix) == ("redis://other", "audio")
    (tmp_path / ".env").write_text("REDIS_URL=redis://file\n")
    assert read_server_settings(environ, need=["redis"], dotenv=tmp_path / ".env").redis_url == "redis://file"


def test_half_of_an_installation_is_completed_by_its_own_half_alone(announce: Announce) -> None:
    environ = announce()
    found = read_server_settings({**environ, "REDIS_URL": REDIS}, need=["database"], dotenv=NOWHERE)
    assert found.database_url == DATABASE
    for read in (read_server_settings, load_settings):
        with pytest.raises(
            SettingsError, match=r"^DATABASE_URL is missing \(a `sampling-worker up` runs with data in /"
        ):
            read({**environ, "REDIS_URL": "redis://other"}, need=["database"], dotenv=NOWHERE)


def test_of_several_none_is_chosen(announce: Announce) -> None:
    announce("/a")
    environ = announce("/b", REDIS_URL="redis://b")
    with pytest.raises(SettingsError, match=r"^2 `sampling-worker up` run .* /a and in /b; accepted: .*env --data DIR"):
        find_up(environ)
    assert find_up({**environ, "REDIS_URL": "redis://b"}).settings["REDIS_URL"] == "redis://b"


def test_a_client_finds_it(announce: Announce, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("REDIS_URL", "DATABASE_URL", "WORKER_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORKER_RUN_DIR", announce(WORKER_PREFIX="mine")["WORKER_RUN_DIR"])
    assert find_address(None, None, "n") == (REDIS, "mine", "n")
    assert find_address(None, "given", None).prefix == "given"
    assert find_address("redis://given", None, None) == ("redis://given", "audio", None)
    monkeypatch.setenv("WORKER_PREFIX", "set")
    assert find_address(None, None, None).prefix == "set"
    monkeypatch.setenv("DATABASE_URL", "postgresql://other/o")
    with pytest.raises(SettingsError, match="DATABASE_URL names another server than its own") as refused:
        find_address(None, None, None)
    for way in ("as the argument url", "in the environment or in .env", "a `sampling-worker up` that runs"):
        assert way in str(refused.value)


def test_folders_of_other_sessions_are_looked_in(tmp_path: Path) -> None:
    session, temporary = Path(f"/run/user/{os.getuid()}/sampling-worker"), Path(f"/tmp/sampling-worker-{os.getuid()}")  # noqa: S108 - its name alone
    assert run_dirs({"TMPDIR": "/tmp"}) == [temporary, session]  # noqa: S108 - the same
    assert run_dirs({"XDG_RUNTIME_DIR": str(tmp_path)}) == [tmp_path / "sampling-worker", session, temporary]


def test_an_up_takes_what_is_given_and_refuses_what_is_wrong(tmp_path: Path) -> None:
    environ = {"WORKER_BATCH": "7", "HOME": "/", "REDIS_URL": REDIS, "TMPDIR": "/nowhere"}
    found = read_given(environ, NOWHERE)
    assert found == {
        "REDIS_URL": REDIS,
        "WORKER_BATCH": "7",
        "WORKER_PREFIX": "audio",
        "WORKER_RUN_DIR": f"/tmp/sampling-worker-{os.getuid()}",  # noqa: S108 - its name alone
    }
    for name, value in (("WORKER_BATCH", "0"), ("WORKER_PREFX", "a"), ("REDIS_URL", "x"), ("DATABASE_URL_FILE", "/x")):
        with pytest.raises(SettingsError, match=name):
            read_given({**environ, name: value}, tmp_path / ".env")
