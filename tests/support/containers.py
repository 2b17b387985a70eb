"""The surroundings of a container without an engine: namespaces of the kernel, as Dockerfile and manifest say."""

import json
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.kubernetes import base, container_of, variables
from tests.support.sources import ROOT

STAGE = "/srv"  # a folder of each Linux, in which the container's own files are laid out
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
UNSHARED = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc")


def image_environment() -> Mapping[str, str]:
    """Return the variables that the image sets; programs and packages are those of this interpreter."""
    words = re.findall(r"(?m)^ENV (.*)$", DOCKERFILE)[-1].split()
    own = {
        "PATH": f"{STAGE}/bin:/usr/bin:/bin",
        "PYTHONPATH": ":".join(f"{STAGE}/site/{number}" for number in range(len(_sites()))),
        "LD_LIBRARY_PATH": f"{STAGE}/python/lib",  # an interpreter that was moved finds its own library
    }
    return dict(word.split("=", 1) for word in words) | own


def entrypoint() -> list[str]:
    """Return the words by which the image starts, without those of a verb."""
    return list(json.loads(re.findall(r"(?m)^ENTRYPOINT (.*)$", DOCKERFILE)[-1]))


@dataclass(frozen=True)
class Container:
    """A container of a component's pods.

    Attributes:
        component: One of `COMPONENTS`.
        uid: The user that it runs as.
        gid: The group.
        settings: What its map of settings holds.
        other: Words of its command line, and what stands there instead.
    """

    component: str
    uid: int
    gid: int
    settings: Mapping[str, str]
    other: Mapping[str, str] = field(default_factory=dict)

    def start_words(self, secrets: Path) -> list[str]:
        """Return the words that run it, as process 1; `secrets` has the files of its secret."""
        container = container_of(base(), self.component)
        mounted = next(one["mountPath"] for one in container["volumeMounts"] if one["name"] == "secrets")
        words = [self.other.get(word, word) for word in container["args"]]
        run = shlex.join([*self._within(), *entrypoint(), *words])
        lines = [*_layout(), *_mounts(mounted, secrets), f"cd {STAGE}/app", f"exec {run}"]
        return [*UNSHARED, "sh", "-euc", "\n".join(lines)]

    def enter_words(self, pid: int, *words: str) -> list[str]:
        """Return the words that run another program in it, beside a process."""
        entered = [
            "nsenter",
            "--target",
            str(pid),
            "--mount",
            "--pid",
            "sh",
            "-c",
            f'cd {STAGE}/app && exec "$@"',
            "sh",
        ]
        return [*entered, *self._within(), *words]

    def _within(self) -> list[str]:
        """Return the words that give a program its user, no capabilities, and its environment."""
        given = {**image_environment(), **self.settings, **variables(container_of(base(), self.component))}
        user = f"--reuid {self.uid} --regid {self.gid} --clear-groups"
        words = f"setpriv {user} --bounding-set=-all --inh-caps=-all --no-new-privs env -i"
        return [*words.split(), *(f"{name}={value}" for name, value in given.items())]


def _sites() -> list[str]:
    return [path for path in sys.path if path.endswith("site-packages")]


def _layout() -> list[str]:
    """Lay out what the image holds: the interpreter, its packages, and the program."""
    python = Path(sys.executable).resolve()
    places = {f"{STAGE}/python": sys.base_prefix, f"{STAGE}/app/worker": str(ROOT / "worker")}
    places |= {f"{STAGE}/site/{number}": path for number, path in enumerate(_sites())}
    binds = [f"mkdir -p {to} && mount --bind {shlex.quote(what)} {to}" for to, what in places.items()]
    link = f"mkdir {STAGE}/bin && ln -s {STAGE}/python/{python.relative_to(sys.base_prefix)} {STAGE}/bin/python"
    return ["mount --make-rprivate /", "mount -t proc proc /proc", f"mount -t tmpfs tmpfs {STAGE}", *binds, link]


def _mounts(mounted: str, secrets: Path) -> list[str]:
    """Mount what the manifest mounts, and make the rest read-only."""
    return [
        "hostname pod-x7k2p",
        f"mount -t tmpfs tmpfs /run && mkdir -p {mounted} && cp {secrets}/* {mounted}",
        "mount -t tmpfs -o mode=1777,size=16m tmpfs /tmp",
        *(
            f"mount -o remount,bind,ro {place}"
            for place in ("/", "/run", STAGE, f"{STAGE}/app/worker", f"{STAGE}/python")
        ),
    ]
