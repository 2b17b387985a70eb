"""How the queues are installed: from PyPI, each into a virtual environment of its own."""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.bench.peer_programs.roster import Peer


def add_env(parser: argparse.ArgumentParser) -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sampling-worker" / "bench-peers"
    parser.add_argument("--env", type=Path, default=cache, help="where the queues are installed (default: %(default)s)")


def install(peer: Peer, folder: Path) -> str:
    """Make the virtual environment of a queue, unless it is there, and return its interpreter."""
    home = folder / project(peer.requires[0])
    python, stamp = home / "bin" / "python", home / "installed"
    wanted = "\n".join(["numpy>=2.1", *peer.requires])
    if not stamp.exists() or stamp.read_text() != wanted:
        sys.stderr.write(f"installing {peer.requires[0]} into {home}\n")
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted.splitlines()], check=True)
        except subprocess.CalledProcessError as error:
            sys.exit(f"{peer.name} cannot be installed: status {error.returncode}; --only runs one of the others")
        stamp.write_text(wanted)
    return str(python)


def project(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def versions(peer: Peer, python: str) -> str:
    """Return the version of a queue, and of a part that it comes in, such as taskiq-redis."""
    name = project(peer.requires[0])
    parts = [part for part in map(project, peer.requires) if part.startswith(name)]
    ask = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    told = subprocess.run([python, "-c", ask, *parts], check=True, capture_output=True, text=True).stdout.split()
    return ", ".join([told[0], *(f"{part} {number}" for part, number in zip(parts[1:], told[1:], strict=True))])
