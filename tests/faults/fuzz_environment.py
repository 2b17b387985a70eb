"""Start commands, clients and workers in random surroundings, and count what ends otherwise than in a sentence.

Run by hand for minutes: `python tests/faults/fuzz_environment.py --seconds 300 --seed 1`. It needs no servers: each
command ends by saying that nothing answers, or what it refuses. Exit status 1 where one ended in another way, or hung.
"""

import argparse
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOWHERE = {"REDIS_URL": "redis://127.0.0.1:1/0", "DATABASE_URL": "postgresql://u@127.0.0.1:1/db"}
HANGS_AFTER_S = 90.0
FIRST_LINE_S = 30.0
RUNS_S = 2.0
NAMELESS = 123_456

# Everything is imported before another user is taken on, who may not read where this Python lives.
PROGRAM = """
import os, sys
uid, umask, gone, *words = sys.argv[1:]
import worker.__main__, worker.client
if int(uid):
    import dotenv.parser, encodings, importlib, pkgutil, worker.service.app, worker.cli.commands
    for module in pkgutil.iter_modules(encodings.__path__):
        if module.name not in ("mbcs", "oem"):  # of Windows
            importlib.import_module(f"encodings.{module.name}")
    from tests.support.forks import light_modules
    for name in light_modules():  # verbs import what they need as they run
        importlib.import_module(name)
    worker.service.app.own_version()
if int(uid) and words[0] == "report":
    from worker.settings.environment import unset_matplotlib_backend
    unset_matplotlib_backend()
    import worker.report.log_picture
os.umask(int(umask, 8))
if int(uid):
    os.setgroups([]); os.setresgid(int(uid), int(uid), int(uid)); os.setresuid(int(uid), int(uid), int(uid))
if gone:
    os.rmdir(gone)
if words[0] == "client":
    worker.client.SampleClient(words[1] or None, prefix=words[2] or None)
else:
    sys.argv = ["sampling-worker", *words]
    worker.__main__.main()
"""

WORDS: tuple[tuple[tuple[str, ...], set[int]], ...] = (
    (("weights", "show"), {3}),
    (("weights", "history", "--json"), {3}),
    (("weights", "set", "voice=1"), {3}),
    (("catalog", "show"), {2, 3}),
    (("sample", "--json"), {3}),
    (("stats",), {3}),
    (("session", "list"), {3}),
    (("dead", "show"), {3}),
    (("health",), {1}),
    (("report", "-", "--output", "/dev/null"), {1, 2}),
    (("run",), {0, 2}),
    (("client", "redis://127.0.0.1:1", "p"), {0}),
    (("client", "redis://127.0.0.1:1", ""), {0}),
    (("client", "", ""), {0}),
)

OTHERS: Mapping[str, tuple[str, ...]] = {
    "WORKER_PORT": ("tcp://10.0.0.5:80", "8080"),
    "WORKER_SERVICE_HOST": ("10.0.0.5",),
    "WORKER_BATCH_PORT": ("tcp://10.0.0.5:80",),
    "WORKER_PREFIX_SERVICE_PORT_HTTP": ("80",),
    "REDIS_PORT": ("tcp://10.0.0.6:6379",),
    "WORKER_CONCURRENCY": ("4",),
    "WORKER_CLASS": ("gevent",),
    "WORKER_ID": ("\udcff", "7"),
    "WORKER_TIMEOUT": ("30",),
    "PGSSLMODE": ("verify-full", "perhaps", ""),
    "PGSERVICE": ("other",),
    "PGSERVICEFILE": ("/no/such/file",),
    "PGPASSFILE": ("/no/such/file", "/dev/null", "/"),
    "PGHOST": ("elsewhere", "/nowhere", ","),
    "PGPORT": ("tcp://10.0.0.7:5432", "0", "1,2"),
    "PGOPTIONS": ("-c nonsense",),
    "PGTARGETSESSIONATTRS": ("master",),
    "PGGSSLIB": ("nonsense",),
    "HOME": ("", "/no/such/home", "/root", "relative", "/dev/null"),
    "TMPDIR": ("", "/no/such/folder", "relative", "/dev/null", "/proc"),
    "XDG_RUNTIME_DIR": ("", "/no/such/folder", "/run/user/99999", "/root", "relative"),
    "LANG": ("C", "xx_YY.UTF-8", "en_US.ISO-8859-1", ""),
    "LC_ALL": ("C", "POSIX", "xx_YY", ""),
    "PYTHONIOENCODING": ("ascii", "latin-1", "utf-16"),
    "PYTHONUTF8": ("0", "1"),
    "TERM": ("", "dumb", "nonsense"),
    "COLUMNS": ("", "0", "-3", "abc", "1", "99999"),
    "TERMINAL_WIDTH": ("abc", "0"),
    "NO_COLOR": ("1",),
    "FORCE_COLOR": ("1", "perhaps"),
    "TZ": ("Nowhere/Nowhere", ":", ""),
    "MPLBACKEND": ("module://matplotlib_inline.backend_inline", "nonsense"),
    "MPLCONFIGDIR": ("/no/such/folder", "/dev/null"),
    "MATPLOTLIBRC": ("/no/such/file",),
    "SSLKEYLOGFILE": ("/no/such/folder/keys",),
    "SSL_CERT_FILE": ("/no/such/file",),
    "RANK": ("first", "9" * 5000, "-1", "٣"),
    "USER": ("", "\udcff", "a b"),
    "LOGNAME": ("", "\udcfe"),
    "LOG_LEVEL": ("WARN", "Critical", "30", "trace"),
    "HOSTNAME": ("", "a.b"),
}
OPEN = b"A='open\n"
DOTENV = (
    b"source ~/.bashrc\n",
    b"KEY: value\n",
    b"A=caf\xe9\n",
    b"\xff\xfeA\0=\x001\0",
    OPEN,
    b"WORKER_CONCURRENCY=4\n",
    b"WORKER_CLASS: gevent\n",
    b"\0" * 50,
    b"WORKER_BATCH=7\n",
    b"export WORKER_PREFIX='mine'\r\n",
    b"if [ -e x ]; then\n",
)


@dataclass(slots=True)
class Surroundings:
    """The surroundings that a command is started in."""

    environ: dict[str, str]
    cwd: Path
    uid: int = 0
    umask: int = 0o022
    gone: str = ""
    closes: tuple[int, ...] = ()
    words: tuple[str, ...] = ()
    accepted: set[int] = field(default_factory=set)


def draw(rng: random.Random, folder: Path) -> Surroundings:
    """Draw surroundings at random.

    Args:
        rng: Draws.
        folder: Of this one alone.
    """
    words, accepted = rng.choice(WORDS)
    environ = {"PATH": os.environ["PATH"], **NOWHERE}
    for name in rng.sample(sorted(OTHERS), rng.randint(0, len(OTHERS) // 2)):
        environ[name] = rng.choice(OTHERS[name])
    at = Surroundings(environ, folder, words=words, accepted=accepted)
    if os.geteuid() == 0 and rng.random() < 0.5:
        at.uid = NAMELESS
    at.umask = rng.choice([0, 0o022, 0o077, 0o777])
    at.closes = rng.choice([(), (), (0,)])
    kind = rng.choice(["file", "file", "file", "fifo", "folder", "closed", "gone", "none"])
    if kind == "file":
        lines = rng.choices(DOTENV, k=rng.randint(1, 5))
        (folder / ".env").write_bytes(b"".join(lines))
        if OPEN in lines and any(b"WORKER_PREFIX" in line for line in lines[lines.index(OPEN) :]):
            at.accepted = accepted | {2}  # a setting of ours within a text that does not end is refused
        (folder / ".env").chmod(rng.choice([0o644, 0o600, 0]))
    elif kind == "fifo":
        os.mkfifo(folder / ".env")
    elif kind == "folder":
        (folder / ".env").mkdir()
    elif kind == "gone":
        at.cwd = folder / "gone"
        at.cwd.mkdir()
        at.gone = str(at.cwd)
    folder.chmod(0o700 if kind == "closed" else 0o777)
    return at


def start(at: Surroundings) -> tuple[int | None, str, str]:
    """Start a command, and return its exit status (None: it hung), and what it said."""
    command = [sys.executable, "-c", PROGRAM, str(at.uid), f"{at.umask:o}", at.gone, *at.words]
    closing = " ".join(f"{number}<&-" for number in at.closes)
    process = subprocess.Popen(
        ["/bin/sh", "-c", f'exec "$@" {closing}', "sh", *command],
        env={**at.environ, "PYTHONPATH": str(ROOT)},
        cwd=at.cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        errors="replace",
        encoding="utf-8",
    )
    try:
        if at.words == ("run",):
            _stop_when_it_runs(process)
        said, complained = process.communicate(timeout=HANGS_AFTER_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None, "", ""
    return process.returncode, said, complained


def _stop_when_it_runs(process: "subprocess.Popen[str]") -> None:
    """Let a worker live for a while from its first line on, then stop it.

    A worker that logs only errors writes no first line. SIGTERM is sent once the worker handles it: the imports before
    that take as long as the machine lets them.
    """
    assert process.stdout
    select.select([process.stdout], [], [], FIRST_LINE_S)
    until = time.monotonic() + HANGS_AFTER_S
    while process.poll() is None and not _can_be_told_to_end(process.pid) and time.monotonic() < until:
        time.sleep(0.05)
    if process.poll() is None:
        time.sleep(RUNS_S)
        process.send_signal(signal.SIGTERM)


def _can_be_told_to_end(pid: int) -> bool:
    """Check whether a process handles SIGTERM; on Linux."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return True
    caught = int(status.read_text().partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> signal.SIGTERM - 1 & 1)


def problem(at: Surroundings, status: int | None, said: str, complained: str) -> str | None:
    """Return why an end of a command is wrong; None where it is right."""
    if status is None:
        return "it hung"
    if "Traceback" in said + complained:
        return "a traceback"
    if '"worker.failed"' in said or '"loop.failed"' in said or '"adjust.failed"' in said:
        return "a bug"
    if status not in at.accepted:
        return f"exit status {status}, accepted: {sorted(at.accepted)}"
    if status and not complained.strip():
        return "silence"
    return None


def try_one(rng: random.Random) -> tuple[Surroundings, int | None, str | None, str]:
    """Draw surroundings, start a command in them, and judge its end."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-environment-"))
    try:
        at = draw(rng, folder)
        status, said, complained = start(at)
        return at, status, problem(at, status, said, complained), complained or said
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Fuzz for a while and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rng, ends, bad = random.Random(asked.seed), Counter[str](), 0
    until = time.monotonic() + asked.seconds
    while time.monotonic() < until:
        at, status, why, said = try_one(rng)
        ends[f"{' '.join(at.words[:2])}: {status}"] += 1
        if why:
            bad += 1
            print(f"{why}: {at}\n{said[-1500:]}\n", flush=True)
    for end, count in sorted(ends.items()):
        print(f"{count:6} {end}")
    print(f"{sum(ends.values())} started, {bad} of them ended otherwise than in a sentence")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
