"""The profiles of `compose.yaml`: the demo's commands on real servers, and the monitoring services together."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.children import ending_with_us
from tests.support.command import RunningWorker
from tests.support.library import fill
from tests.support.observability import OBSERVABILITY, SOURCES, VECTOR
from tests.support.servers import execute, fetch_value, running
from tests.support.waiting import wait_until_sync
from tests.support.workers import DONE_S
from worker.embedded import RedisServer

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))["services"]


def read(name: str) -> Any:
    return yaml.safe_load((OBSERVABILITY / "stack" / name).read_text(encoding="utf-8"))


def words_of(service: str) -> list[str]:
    return [*SERVICES[service]["entrypoint"], *SERVICES[service]["command"]]


def mounted(service: str) -> dict[str, str]:
    """Return what is mounted into a service, by the path in it."""
    return {place: source for source, place, *_ in (one.split(":") for one in SERVICES[service]["volumes"])}


class TestDemo:
    @pytest.fixture
    def environment(self, database_url: str) -> dict[str, str]:
        programs = Path(sys.executable).parent
        return {"PATH": f"{programs}:/usr/bin:/bin", "DATABASE_URL": database_url, "PYTHONPATH": str(ROOT)}

    @pytest.fixture
    def redis(self) -> Iterator[RedisServer]:
        with running(RedisServer) as server:
            yield server

    @pytest.fixture
    def worker(self, redis: RedisServer, database_url: str, tmp_path: Path) -> Iterator[RunningWorker]:
        settings = {"REDIS_URL": redis.url, "DATABASE_URL": database_url}
        worker = RunningWorker(settings, tmp_path).start().wait_ready()
        yield worker
        worker.stop()

    def test_its_library_is_there_once_however_often_it_is_started(
        self, environment: dict[str, str], tmp_path: Path, database_url: str
    ) -> None:
        for _ in range(2):
            words = words_of("demo-library")
            done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=False)
            assert done.returncode == 0, done.stderr
        counted = fetch_value(database_url, "select count(*) from audio_chunks where status = 'READY'")
        assert counted == 10_000

    def test_its_training_asks_until_it_is_ended(
        self, environment: dict[str, str], worker: RunningWorker, redis: RedisServer, database_url: str, tmp_path: Path
    ) -> None:
        execute(database_url, fill(90))
        wait_until_sync(lambda: worker.events("catalog.changed"), timeout_s=DONE_S, what="the library is known")
        (tmp_path / "demo_url").write_text(redis.url)
        words = [word.replace("/run/secrets", str(tmp_path)) for word in words_of("demo-training")]
        training = subprocess.Popen(ending_with_us(*words), cwd=tmp_path, env=environment)
        try:
            wait_until_sync(lambda: worker.events("request.served"), timeout_s=DONE_S, what="the training is served")
            assert training.poll() is None
        finally:
            training.terminate()
            assert training.wait(DONE_S) == -signal.SIGTERM
        (served, *_) = worker.events("request.served")
        assert (served["size"], served["status"]) == (64, "ok")


class TestWatching:
    """Vector, Loki, Prometheus and Grafana find each other and their files."""

    def test_vector_reads_the_workers_and_offers_metrics_where_prometheus_looks(self) -> None:
        files = [word for word in SERVICES["vector"]["command"] if word != "--config"]
        assert {*files, "/var/run/docker.sock"} == mounted("vector").keys()
        sources = [mounted("vector")[file] for file in files]
        assert sources == ["./observability/vector.yaml", "./observability/sources/docker.yaml"]
        project = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))["name"]
        labels = SOURCES["docker"]["from_docker"]["include_labels"]
        assert labels == [f"com.docker.compose.project={project}", "com.docker.compose.service=worker"]
        given = SERVICES["vector"]["environment"]
        assert all(f"${{{name}:-" in json.dumps(VECTOR["sinks"]) for name in given)
        port = given["METRICS_ADDRESS"].partition(":")[2]
        (job,) = read("prometheus.yaml")["scrape_configs"]
        assert job["static_configs"] == [{"targets": [f"vector:{port}"]}]

    def test_grafana_has_what_its_dashboard_shows(self) -> None:
        dashboard = json.loads((OBSERVABILITY / "dashboard.json").read_text(encoding="utf-8"))
        wanted = {one["query"] for one in dashboard["templating"]["list"] if one["type"] == "datasource"}
        sources = {one["type"]: one["url"] for one in read("datasources.yaml")["datasources"]}
        assert sources.keys() == wanted
        assert sources["loki"] == SERVICES["vector"]["environment"]["LOKI_URL"]
        assert {url.split("/")[2].split(":")[0] for url in sources.values()} <= SERVICES.keys()

    def test_grafana_finds_its_files_where_they_are_mounted(self) -> None:
        places = mounted("grafana")
        (provider,) = read("dashboards.yaml")["providers"]
        home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        assert places[home] == "./observability/dashboard.json"
        assert home == f"{provider['options']['path']}/dashboard.json"
        provisioned = {Path(place).parent.name: source for place, source in places.items() if "provisioning" in place}
        assert provisioned == {name: f"./observability/stack/{name}.yaml" for name in ("datasources", "dashboards")}
