"""The examples of README.md and of the client's page do what they say, as they are printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import connect
from worker.adapters.redis.client_streams import KEPT_TTL_S
from worker.core.keys import Keys
from worker.settings.environment import environment_with

pytestmark = pytest.mark.any_redis

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CLIENT = (ROOT / "worker" / "client" / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README + CLIENT, re.DOTALL)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_examples_run(number: int, redis_url: str, prefix: str, tmp_path: Path) -> None:
    program = tmp_path / "example.py"
    program.write_text(EXAMPLES[number])
    settings = {"REDIS_URL": redis_url, "WORKER_PREFIX": prefix, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        # torchdata calls what torch says is deprecated
        [sys.executable, "-W", "error", "-W", "ignore:'set_vital' is deprecated", program],
        env=environment_with(settings),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) >= 100
    with connect(redis_url) as server:
        left = server.keys(f"{prefix}:sample:asked:*") + server.keys(Keys(prefix).reply("*"))
        assert bool(left) == ("state_dict" in EXAMPLES[number])  # a state may be gone on from
        assert all(0 < server.ttl(key) <= KEPT_TTL_S for key in left)


def test_the_first_batch_is_ten_lines_away() -> None:
    first = README[README.index("## In a training loop") : README.index(EXAMPLES[0])] + EXAMPLES[0]
    assert "pip install" in first
    assert len([line for line in first.splitlines() if line.strip()]) <= 10


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 6
