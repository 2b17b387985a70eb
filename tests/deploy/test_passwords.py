"""The passwords that deploy/secrets.sh makes, the first step of deploy/README.md."""

import hashlib
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"


def run_script(folder: Path, **named: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [DEPLOY / "secrets.sh", named.get("argument", str(folder))],
        cwd=folder.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make them, in an empty folder."""
    folder = tmp_path_factory.mktemp("secrets")
    done = run_script(folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_every_secret_is_made(secrets: Path) -> None:
    made = {path.name for path in secrets.iterdir()}
    assert made >= set(yaml.safe_load((DEPLOY / "compose.yaml").read_text())["secrets"])
    assert (secrets / ".gitignore").read_text() == "*\n"


def test_the_folder_is_closed_and_containers_can_read_what_is_mounted(secrets: Path) -> None:
    assert secrets.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in secrets.iterdir()}
    assert modes == dict.fromkeys(modes, 0o644)


def test_a_second_run_changes_nothing(secrets: Path) -> None:
    before = contents(secrets)
    done = run_script(secrets)
    assert done.returncode == 0
    assert "nothing was changed" in done.stdout
    assert contents(secrets) == before


@pytest.mark.parametrize("missing", ["redis_url", "redis.acl", "postgres_password"])
def test_a_folder_that_lacks_a_file_is_refused_and_left_as_it_is(tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "secrets"
    run_script(folder)
    (folder / missing).unlink()
    before = contents(folder)
    done = run_script(folder)
    assert done.returncode == 1
    assert f"lacks {missing};" in done.stderr
    assert contents(folder) == before


def test_a_folder_with_files_of_others_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert run_script(tmp_path).returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_is_made_where_it_is_named_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    assert run_script(tmp_path / "new", argument="new").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize(
    "name",
    ["operator_url", "redis_url", "training_job_url", "weights_writer_url", "desk_reader_url", "desk_url", "demo_url"],
)
def test_roles_of_redis_log_in_by_their_urls(secrets: Path, name: str) -> None:
    login = urlsplit((secrets / name).read_text())
    assert login.password
    assert len(login.password) == 48
    hashed = hashlib.sha256(login.password.encode()).hexdigest()
    lines = (secrets / "redis.acl").read_text().splitlines()
    assert [line.split()[:4] for line in lines if hashed in line] == [["user", login.username, "on", f"#{hashed}"]]
    assert len(lines) == len((DEPLOY / "redis.acl").read_text().splitlines()) == 5


def test_passwords_differ_and_fit_where_they_are_read_alone(secrets: Path) -> None:
    urls = [urlsplit(path.read_text()) for path in secrets.glob("*_url")]
    passwords = {url.username: url.password for url in urls}
    assert len(set(passwords.values())) == len(passwords) == 7
    assert all(
        passwords[url.username] == url.password for url in urls
    )  # the desk logs in as weights-writer, the demo as training-job
    token = (secrets / "desk_token").read_text().rstrip("\n")
    assert len(token) == 48
    assert token not in passwords.values()
    assert (secrets / "grafana_password").read_text().rstrip("\n") not in {*passwords.values(), token}
    for name, role in (("postgres", "owner"), ("sampler", "sampler"), ("redis", "default")):
        assert (secrets / f"{name}_password").read_text().rstrip("\n") == passwords[role]
