"""The passwords that deploy/README.md has one make first: the commands are run as they stand there."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Do it, in a copy."""
    block = re.search(r"(?ms)^```sh\n(install .*?)^```", (DEPLOY / "README.md").read_text())
    assert block
    top = tmp_path_factory.mktemp("top")
    shutil.copytree(DEPLOY, top / "deploy", ignore=shutil.ignore_patterns("secrets"))
    subprocess.run(["bash", "-euc", block[1]], cwd=top, check=True)  # noqa: S607
    return top / "deploy" / "secrets"


def test_every_secret_is_made(secrets: Path) -> None:
    made = {path.name for path in secrets.iterdir()}
    assert made >= set(yaml.safe_load((DEPLOY / "compose.yaml").read_text())["secrets"])
    assert (secrets / ".gitignore").read_text() == "*\n"
    assert secrets.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["operator_url", "redis_url", "training_job_url", "weights_writer_url"])
def test_roles_of_redis_log_in_by_their_urls(secrets: Path, name: str) -> None:
    login = urlsplit((secrets / name).read_text())
    assert login.password
    assert len(login.password) == 48
    hashed = hashlib.sha256(login.password.encode()).hexdigest()
    lines = (secrets / "redis.acl").read_text().splitlines()
    assert [line.split()[:4] for line in lines if hashed in line] == [["user", login.username, "on", f"#{hashed}"]]
    assert len(lines) == len((DEPLOY / "redis.acl").read_text().splitlines()) == 4


def test_passwords_differ_and_fit_where_they_are_read_alone(secrets: Path) -> None:
    urls = [urlsplit(path.read_text()) for path in secrets.glob("*_url")]
    passwords = {url.username: url.password for url in urls}
    assert len(set(passwords.values())) == len(urls) == 6
    for name, role in (("postgres", "owner"), ("sampler", "sampler"), ("redis", "default")):
        assert (secrets / f"{name}_password").read_text().rstrip("\n") == passwords[role]
