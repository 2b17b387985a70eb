"""`deploy/systemd/`, checked against the settings, systemd itself, and a worker in the same surroundings."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.observability import SOURCES
from worker.service import app
from worker.settings.model import Settings
from worker.settings.names import is_setting

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "systemd" / "sampling-worker@.service"
LINES = [line for line in UNIT.read_text(encoding="utf-8").splitlines() if re.match(r"\w+=", line)]
ASSIGNED = [
    tuple(word.split("=", 1)) for line in LINES if line.startswith("Environment=") for word in line[12:].split()
]
ENVIRONMENT = {name: text for name, text in ASSIGNED}  # noqa: C416 - of pairs
LONGEST_ROUND_S = 10.0
"""What a lane may take while Redis hangs: a time-out of 5 s, and that of a connection."""


def values(name: str) -> list[str]:
    return [line.partition("=")[2] for line in LINES if line.startswith(f"{name}=")]


def value(name: str) -> str:
    (only,) = values(name)
    return only


class TestUnit:
    def test_waits_longer_than_the_worker_needs_to_stop(self) -> None:
        drain_s = Settings.model_fields["drain_timeout_s"].default
        assert int(value("TimeoutStopSec")) >= drain_s + 2 * app._CLEANUP_S + app._FLUSH_S

    def test_is_ready_when_the_worker_says_so_and_watched_from_then_on(self) -> None:
        assert value("Type") == "notify"
        assert int(value("WatchdogSec")) >= 3 * LONGEST_ROUND_S
        assert value("Restart") == "on-failure"
        assert value("RestartPreventExitStatus") == "2"  # wrong settings

    def test_variables_are_settings_and_each_is_given_once(self) -> None:
        names = [name for name, _ in ASSIGNED]
        assert sorted(set(names)) == sorted(names)
        assert [name for name in names if not is_setting(name)] == [
            "PYTHONDONTWRITEBYTECODE",
            "PYTHONFAULTHANDLER",
        ]

    def test_every_secret_comes_as_a_credential(self) -> None:
        given = {line.partition(":")[0] for line in values("LoadCredential")}
        read = {text.removeprefix("%d/") for name, text in ASSIGNED if name.endswith("_FILE")}
        assert given == read == {"redis_url", "database_url"}

    def test_each_instance_has_a_name_and_a_folder_of_its_own(self) -> None:
        assert ENVIRONMENT["WORKER_CONSUMER"].endswith("-%i")
        assert ENVIRONMENT["WORKER_RUN_DIR"] == f"%t/{value('RuntimeDirectory')}"
        assert value("RuntimeDirectory").endswith("/%i")

    def test_collectors_find_its_lines_by_its_identifier(self) -> None:
        name = value("SyslogIdentifier")
        observability = DEPLOY / "observability"
        assert SOURCES["journal"]["from_journal"]["include_matches"] == {"SYSLOG_IDENTIFIER": [name]}
        assert f'matches    = "SYSLOG_IDENTIFIER={name}"' in (observability / "config.alloy").read_text(
            encoding="utf-8"
        )
        readme = (observability / "README.md").read_text(encoding="utf-8")
        assert re.findall(r"journalctl (--\w+ \S+)", readme) == [f"--identifier {name}"] * readme.count("journalctl --")


@pytest.mark.needs("systemd-analyze")
class TestByItsOwnTools:
    @staticmethod
    def verify(folder: Path, text: str) -> str:
        """Return what systemd has against a unit, whose program is one of this machine."""
        (folder / UNIT.name).write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", text))
        words = ["systemd-analyze", "verify", "--man=no", str(folder / UNIT.name.replace("@", "@1"))]
        return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False).stderr

    def test_verifies(self, tmp_path: Path) -> None:
        assert self.verify(tmp_path, UNIT.read_text(encoding="utf-8")) == ""

    @pytest.mark.parametrize("wrong", ["WatchdogSeconds=60", "SystemCallFilter=@nonsense", "Type=notified"])
    def test_what_is_wrong_is_found(self, tmp_path: Path, wrong: str) -> None:
        text = UNIT.read_text(encoding="utf-8").replace("[Service]\n", f"[Service]\n{wrong}\n")
        assert f"{UNIT.name}:{text.splitlines().index(wrong) + 1}: " in self.verify(tmp_path, text)

    def test_exposes_little(self) -> None:
        words = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", str(UNIT)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout
