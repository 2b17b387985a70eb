"""The files of `deploy/`, compared with the settings, pyproject.toml and each other; no engine is needed."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from worker.service import app
from worker.settings.model import Settings, load_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
MAINTAINERS = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

EXTRAS_IN_THE_IMAGE = ("desk", "yaml")
IN_THE_IMAGE = [
    *PROJECT["dependencies"],
    *(line for extra in EXTRAS_IN_THE_IMAGE for line in PROJECT["optional-dependencies"][extra]),
]

CLOSING_S = 2 * app._CLEANUP_S + app._FLUSH_S
"""What the last statistics, closing connections and writing the last lines may take after a drain."""

UNITS_S = {"s": 1, "m": 60}


def text(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


class TestEnvironmentFile:
    """`worker.env`: a block of comments and one line a setting."""

    BLOCKS = text("worker.env").strip().split("\n\n")[1:]

    @staticmethod
    def assignment(block: str) -> tuple[str, str]:
        name, _, value = block.splitlines()[-1].removeprefix("#").partition("=")
        return name, value

    def test_holds_every_setting_once_and_in_order(self) -> None:
        names = [self.assignment(block)[0].removesuffix("_FILE") for block in self.BLOCKS]
        assert names == [field.alias for field in Settings.model_fields.values()]

    @pytest.mark.parametrize("name", Settings.model_fields)
    def test_says_what_the_setting_says(self, name: str) -> None:
        field = Settings.model_fields[name]
        assert isinstance(field.json_schema_extra, dict)
        accepted, default = field.json_schema_extra["accepted"], field.json_schema_extra["default"]
        expected = [f"# {field.description}", f"# accepted: {accepted}", f"# default: {default}"]
        blocks = [block.splitlines() for block in self.BLOCKS if block.startswith(expected[0] + "\n")]
        assert [block[:-1] for block in blocks] == [expected]

    @pytest.mark.parametrize("name", Settings.model_fields)
    def test_shows_the_default(self, name: str) -> None:
        field = Settings.model_fields[name]
        assert isinstance(field.json_schema_extra, dict)
        shown = {self.assignment(block)[0]: block for block in self.BLOCKS}
        if field.json_schema_extra["default"] == "required":
            assert not shown[f"{field.alias}_FILE"].splitlines()[-1].startswith("#")
            return
        line = shown[str(field.alias)].splitlines()[-1]
        has_value = isinstance(field.default, str | int | float)
        assert line == f"#{field.alias}={field.json_schema_extra['default'] if has_value else ''}"

    def test_is_accepted_with_every_default_spelled_out(self) -> None:
        given = dict(self.assignment(block) for block in self.BLOCKS)
        values = {name: value for name, value in given.items() if value and not name.endswith("_FILE")}
        servers = {"REDIS_URL": "redis://valkey", "DATABASE_URL": "postgresql://postgres/audio"}
        nothing = Path("/nonexistent")
        assert load_settings(servers | values, dotenv=nothing) == load_settings(servers, dotenv=nothing)


class TestCompose:
    """`compose.yaml`."""

    FILE = yaml.safe_load(text("compose.yaml"))
    SERVICES: dict[str, Any] = FILE["services"]
    WORKER: dict[str, Any] = SERVICES["worker"]

    def test_waits_longer_than_the_worker_needs_to_stop(self) -> None:
        number, unit = re.fullmatch(r"(\d+)([sm])", self.WORKER["stop_grace_period"]).groups()  # type: ignore[union-attr]
        drain_s = Settings.model_fields["drain_timeout_s"].default
        assert int(number) * UNITS_S[unit] >= drain_s + CLOSING_S

    def test_starts_in_order(self) -> None:
        conditions = {
            name: {server: how["condition"] for server, how in service.get("depends_on", {}).items()}
            for name, service in self.SERVICES.items()
        }
        assert conditions == {
            "valkey": {},
            "postgres": {},
            "migrate": {"postgres": "service_healthy"},
            "sampler": {"migrate": "service_completed_successfully"},
            "worker": {"valkey": "service_healthy", "sampler": "service_completed_successfully"},
            "desk": {"valkey": "service_healthy"},
            "demo-library": {"migrate": "service_completed_successfully"},
            "demo-training": {"demo-library": "service_completed_successfully", "worker": "service_healthy"},
            "vector": {},
            "loki": {},
            "prometheus": {},
            "grafana": {},
            "operator": {},
        }

    def test_whoever_is_waited_for_has_a_healthcheck(self) -> None:
        assert self.SERVICES["valkey"]["healthcheck"]["test"]
        assert self.SERVICES["postgres"]["healthcheck"]["test"]

    def test_valkey_keeps_what_it_is_given(self) -> None:
        command = " ".join(self.SERVICES["valkey"]["command"])
        assert "--appendonly yes" in command
        assert "--maxmemory-policy noeviction" in command

    def test_ports_are_open_to_this_machine_alone(self) -> None:
        ports = [port for service in self.SERVICES.values() for port in service.get("ports", ())]
        assert ports
        assert all(port.startswith("127.0.0.1:") for port in ports)

    def test_files_are_there(self) -> None:
        assert all((DEPLOY / name).is_file() for name in self.WORKER["env_file"])
        assert (DEPLOY / self.WORKER["build"]["context"]).resolve() == ROOT
        assert (ROOT / self.WORKER["build"]["dockerfile"]).is_file()

    def test_every_secret_is_declared_and_read(self) -> None:
        used = {secret for service in self.SERVICES.values() for secret in service.get("secrets", ())}
        assert used == set(self.FILE["secrets"])
        for name, service in self.SERVICES.items():
            rest = json.dumps(service) + "".join(text(file) for file in service.get("env_file", ()))
            assert set(service.get("secrets", ())) == set(re.findall(r"/run/secrets/([\w.]+)", rest)), name

    def test_every_secret_is_made_by_the_script_that_the_readme_names(self) -> None:
        assert {f"secrets/{name}" for name in self.FILE["secrets"]} == {
            secret["file"] for secret in self.FILE["secrets"].values()
        }
        assert all(f"> {name}" in text("secrets.sh") for name in self.FILE["secrets"])
        assert "\ndeploy/secrets.sh" in text("README.md")

    @pytest.mark.parametrize("name", ["worker", "migrate", "operator", "demo-library", "demo-training"])
    def test_our_containers_can_do_little(self, name: str) -> None:
        service = self.SERVICES[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not {"privileged", "cap_add", "ports", "volumes"} & service.keys()

    def test_profiles_start_what_they_are_for(self) -> None:
        profiles: dict[str, set[str]] = {}
        for name, service in self.SERVICES.items():
            for profile in service.get("profiles", [""]):
                profiles.setdefault(profile, set()).add(name)
        assert profiles == {
            "": {"valkey", "postgres", "migrate", "sampler", "worker"},
            "desk": {"desk"},
            "demo": {"desk", "demo-library", "demo-training"},
            "observability": {"vector", "loki", "prometheus", "grafana"},
            "operator": {"operator"},
        }

    def test_what_is_mounted_is_there(self) -> None:
        mounts = [mount.split(":") for service in self.SERVICES.values() for mount in service.get("volumes", ())]
        files = [source for source, *_ in mounts if source.startswith(".")]
        assert [source for source in files if not (DEPLOY / source).is_file()] == []
        named = {source for source, *_ in mounts if not source.startswith((".", "/"))}
        assert named == self.FILE["volumes"].keys()
        assert all(rest[-1] == "ro" for source, *rest in mounts if source.startswith((".", "/")))

    def test_what_watches_has_fixed_versions_and_can_do_little(self) -> None:
        for name in ("vector", "loki", "prometheus", "grafana"):
            service = self.SERVICES[name]
            assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+(-alpine)?", service["image"]), name
            assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])

    def test_replicas_get_different_host_names(self) -> None:
        assert not {"hostname", "container_name"} & self.WORKER.keys()


class TestLock:
    """`requirements.lock`."""

    ENTRIES = re.findall(r"(?m)^(\S.*(?:\n    .*)*)", text("requirements.lock"))

    @classmethod
    def pins(cls) -> list[tuple[Requirement, set[str]]]:
        """Return each pinned requirement, and the names of those that need it."""
        found = []
        for entry in cls.ENTRIES:
            reasons = set(re.findall(r"(?m)^    # +(?:via +)?([\w-]+)", entry)) - {"via"}
            pin = Requirement(entry.partition("\\")[0])
            found.append((pin, {str(canonicalize_name(name)) for name in reasons}))
        return found

    def test_pins_and_hashes_everything(self) -> None:
        assert self.ENTRIES
        for entry in self.ENTRIES:
            assert re.match(r"[a-z0-9-]+==\S+ (; .+ )?\\\n", entry), entry
            assert "--hash=sha256:" in entry, entry

    def test_direct_requirements_are_those_of_the_project(self) -> None:
        project = canonicalize_name(PROJECT["name"])
        direct = {canonicalize_name(pin.name) for pin, reasons in self.pins() if project in reasons}
        assert direct == {canonicalize_name(Requirement(line).name) for line in IN_THE_IMAGE}

    def test_every_version_is_one_that_the_project_accepts(self) -> None:
        accepted = {canonicalize_name(r.name): r.specifier for r in map(Requirement, IN_THE_IMAGE)}
        for pin, _ in self.pins():
            version = next(iter(pin.specifier)).version
            assert version in accepted.get(canonicalize_name(pin.name), pin.specifier), pin

    def test_everything_else_is_needed_by_something_in_it(self) -> None:
        names = {canonicalize_name(pin.name) for pin, _ in self.pins()}
        known = names | {canonicalize_name(PROJECT["name"])}
        assert all(reasons and reasons <= known for _, reasons in self.pins())

    def test_names_no_host_and_no_path(self) -> None:
        assert not re.search(r"https?:|file:|--(extra-)?index-url|--find-links", text("requirements.lock"))

    def test_command_that_makes_it_is_documented(self) -> None:
        command = re.search(r"uv pip compile [^`]*", MAINTAINERS.replace("\\\n", " "))
        assert command
        options = command[0].split()
        assert {"pyproject.toml", "--universal", "--generate-hashes", "--no-emit-index-url"} <= set(options)
        extras = [after for option, after in pairwise(options) if option == "--extra"]
        assert tuple(extras) == EXTRAS_IN_THE_IMAGE
        assert "deploy/requirements.lock" in options
        assert options[options.index("--python-version") + 1] == PROJECT["requires-python"].removeprefix(">=")


FOR_USERS = [name for name in PROJECT["optional-dependencies"] if name not in {"test", "lint"}]


class TestDependencies:
    """The dependencies: tests/README.md says what each is for."""

    def test_each_has_a_line(self) -> None:
        extras = PROJECT["optional-dependencies"]
        lines = [*PROJECT["dependencies"], *(line for name in FOR_USERS for line in extras[name])]
        section = MAINTAINERS.partition("### Dependencies")[2].partition("\n### ")[0]
        assert re.findall(r"(?m)^\| `([\w-]+)` \|", section) == [Requirement(line).name for line in lines]

    def test_each_has_a_lower_bound(self) -> None:
        lines = [
            *PROJECT["dependencies"],
            *(line for extra in PROJECT["optional-dependencies"].values() for line in extra),
        ]
        bounded = [line for line in lines if any(bound.operator == ">=" for bound in Requirement(line).specifier)]
        assert [line for line in lines if line not in bounded] == [f"sampling-worker[{','.join(FOR_USERS)}]"]


class TestImage:
    """`Dockerfile`, and what of the repository it gets to see."""

    LINES = text("Dockerfile").splitlines()

    def last(self, instruction: str) -> str:
        """Return the arguments of an instruction's last use, which is the one that counts."""
        return [line for line in self.LINES if line.startswith(f"{instruction} ")][-1].partition(" ")[2]

    def test_runs_the_command_without_a_shell(self) -> None:
        assert json.loads(self.last("ENTRYPOINT")) == ["python", "-m", "worker"]
        assert json.loads(self.last("CMD")) == ["run"]

    def test_probes_without_a_shell(self) -> None:
        assert json.loads(self.last("HEALTHCHECK").partition(" CMD ")[2]) == ["python", "-m", "worker", "health"]

    def test_runs_as_nobody_in_particular(self) -> None:
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", self.last("USER"))

    def test_is_stopped_by_the_signal_that_drains(self) -> None:
        assert self.last("STOPSIGNAL") == "SIGTERM"

    def test_logs_at_once(self) -> None:
        assert "PYTHONUNBUFFERED=1" in self.last("ENV")

    def test_is_labelled_with_the_version_that_it_has(self) -> None:
        versions = [line for line in self.LINES if line.startswith("ARG VERSION=")]
        assert versions == [f"ARG VERSION={PROJECT['version']}"] * 2
        labels = re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', text("Dockerfile"))
        assert dict(labels) == {
            "title": PROJECT["name"],
            "description": PROJECT["description"],
            "version": "${VERSION}",
            "revision": "${REVISION}",
        }

    def test_the_program_in_it_knows_its_version(self, tmp_path: Path) -> None:
        """It is copied and not installed; the log of a fleet says which worker is which."""
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
        (command,) = (line.removeprefix("RUN ") for line in self.LINES if line.startswith("RUN own="))
        script = command.replace("/venv/", f"{tmp_path}/venv/")
        subprocess.run(
            ["/bin/sh", "-euc", script], env={"VERSION": PROJECT["version"], "PATH": "/usr/bin:/bin"}, check=True
        )
        asked = [
            str(tmp_path / "venv/bin/python"),
            "-c",
            "from worker.version import own_version; print(own_version())",
        ]
        done = subprocess.run(asked, cwd=ROOT, env={}, capture_output=True, text=True, check=True)
        assert done.stdout == f"{PROJECT['version']}\n"

    def test_weighs_what_the_readme_says(self) -> None:
        """The installed packages are measured; their versions may differ from those of the lock."""
        markers = (pin for pin, _ in TestLock.pins() if pin.marker is None or pin.marker.evaluate())
        files = [file for pin in markers for file in distribution(pin.name).files or () if file.suffix != ".pyc"]
        weight = sum(path.stat().st_size for path in map(Path, (file.locate() for file in files)) if path.is_file())
        said = re.search(r"packages weigh about (\d+) MB", text("README.md"))
        assert said
        assert 0.75 * int(said[1]) < weight / 1e6 < int(said[1])  # bytecode is another tenth

    def test_has_no_pip(self) -> None:
        assert "RUN python -m venv --without-pip /venv" in self.LINES

    def test_installs_the_lock_and_nothing_else(self) -> None:
        installs = [line for line in self.LINES if " install " in line]
        assert len(installs) == 1
        assert "--require-hashes --no-deps" in installs[0]
        assert [line for line in self.LINES if line.startswith("COPY ")] == [
            "COPY deploy/requirements.lock /tmp/requirements.lock",
            "COPY --from=builder /venv /venv",
            "COPY worker worker",
        ]

    def test_embedded_servers_are_not_in_it(self) -> None:
        embedded = {canonicalize_name(Requirement(line).name) for line in PROJECT["optional-dependencies"]["embedded"]}
        assert not embedded & {canonicalize_name(pin.name) for pin, _ in TestLock.pins()}

    def test_secrets_never_reach_the_engine(self) -> None:
        ignored = (ROOT / ".dockerignore").read_text().splitlines()
        assert [line for line in ignored if not line.startswith("#")] == [
            "*",
            "!deploy/requirements.lock",
            "!worker",
            "**/__pycache__",
        ]
