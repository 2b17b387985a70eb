"""`deploy/kubernetes/`, compared with the settings, the command line, and the secrets of README.md."""

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest

from tests.support.kubernetes import (
    COMPONENTS,
    KUBERNETES,
    KUSTOMIZATIONS,
    Resource,
    base,
    build,
    container_of,
    find,
    literals,
    pod_of,
    read_kustomization,
    referred,
    variables,
)
from worker.cli.verbs.desk import desk
from worker.cli.verbs.start import migrate, run
from worker.service import app
from worker.settings.model import Settings, load_settings
from worker.settings.names import is_setting

DEPLOY = KUBERNETES.parent
README = (DEPLOY / "README.md").read_text(encoding="utf-8")
VERBS = {"run": run, "migrate": migrate, "desk": desk}
SERVERS = {"REDIS_URL": "redis://valkey", "DATABASE_URL": "postgresql://postgres/audio"}
PORTS = {"worker": {6379, 5432}, "migrate": {5432}, "desk": {6379}}
DNS = {("UDP", 53), ("TCP", 53)}


def bytes_of(quantity: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()  # type: ignore[union-attr]
    return int(number) << {"Mi": 20, "Gi": 30}[unit]


class TestEachPod:
    """What all three kinds of pods have in common: they can do little."""

    @pytest.mark.parametrize("component", COMPONENTS)
    def test_runs_as_any_user_but_root_and_can_do_little(self, component: str) -> None:
        spec = pod_of(base(), component)["spec"]
        assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        assert container_of(base(), component)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & spec.keys()

    @pytest.mark.parametrize("component", COMPONENTS)
    def test_has_no_token_of_the_cluster(self, component: str) -> None:
        spec = pod_of(base(), component)["spec"]
        account = find(base(), "ServiceAccount", component)
        assert spec["serviceAccountName"] == account["metadata"]["name"]
        assert spec["automountServiceAccountToken"] is account["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False

    @pytest.mark.parametrize("component", COMPONENTS)
    def test_writes_into_memory_alone(self, component: str) -> None:
        volumes = {
            volume.pop("name"): volume
            for volume in json.loads(json.dumps(pod_of(base(), component)["spec"]["volumes"]))
        }
        mounts = {mount["name"]: mount for mount in container_of(base(), component)["volumeMounts"]}
        assert volumes.keys() == mounts.keys() == {"secrets", "tmp"}
        assert volumes["tmp"]["emptyDir"]["medium"] == "Memory"
        assert mounts["tmp"]["mountPath"] == "/tmp"  # noqa: S108 - the default of WORKER_RUN_DIR is below it
        assert mounts["secrets"]["readOnly"] is True

    @pytest.mark.parametrize("component", COMPONENTS)
    def test_asks_for_memory_and_is_not_slowed_down(self, component: str) -> None:
        resources = container_of(base(), component)["resources"]
        assert bytes_of(resources["requests"]["memory"]) <= bytes_of(resources["limits"]["memory"])
        assert "cpu" in resources["requests"]  # autoscaling by CPU goes by it
        assert "cpu" not in resources["limits"]

    @pytest.mark.parametrize("component", COMPONENTS)
    def test_runs_a_verb_with_options_that_it_has(self, component: str) -> None:
        verb, *words = container_of(base(), component)["args"]
        VERBS[verb].make_context(verb, words)
        with pytest.raises(click.UsageError):
            VERBS[verb].make_context(verb, [*words, "--nonsense"])

    @pytest.mark.parametrize("component", COMPONENTS)
    def test_variables_are_settings_and_secrets_are_files_that_the_readme_has_one_make(self, component: str) -> None:
        container = container_of(base(), component)
        given = variables(container)
        assert [name for name in given if not is_setting(name)] == []
        folder = next(one["mountPath"] for one in container["volumeMounts"] if one["name"] == "secrets")
        read = set(re.findall(rf"{folder}/(\w+)", json.dumps(container)))
        assert read
        (secret,) = (
            one["secret"]["secretName"] for one in pod_of(base(), component)["spec"]["volumes"] if "secret" in one
        )
        made = re.search(rf"create secret generic {secret} ([^\n]*)", README.replace("\\\n", " "))
        assert made
        assert set(re.findall(r"--from-file=(?:\S*/)?(\w+)", made[1])) == read
        assert all(f"> {name}\n" in (DEPLOY / "secrets.sh").read_text(encoding="utf-8") for name in read)

    @pytest.mark.parametrize("component", COMPONENTS)
    def test_reaches_names_and_its_servers_alone(self, component: str) -> None:
        policy = find(base(), "NetworkPolicy", component)["spec"]
        assert policy["podSelector"]["matchLabels"].items() <= pod_of(base(), component)["metadata"]["labels"].items()
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        ports = {(port["protocol"], port["port"]) for rule in policy["egress"] for port in rule["ports"]}
        assert ports == DNS | {("TCP", port) for port in PORTS[component]}
        assert bool(policy.get("ingress")) is (component == "desk")


class TestWorker:
    SPEC: Resource = find(base(), "Deployment", "worker")["spec"]
    POD: Resource = pod_of(base(), "worker")["spec"]
    CONTAINER: Resource = container_of(base(), "worker")

    def test_is_given_longer_than_it_needs_to_stop(self) -> None:
        drain_s = float(literals("base")["WORKER_DRAIN_TIMEOUT_S"])
        assert drain_s == Settings.model_fields["drain_timeout_s"].default
        assert self.POD["terminationGracePeriodSeconds"] >= drain_s + 2 * app._CLEANUP_S + app._FLUSH_S

    def test_is_probed_by_health_and_never_for_its_life(self) -> None:
        assert "livenessProbe" not in self.CONTAINER
        for name in ("startupProbe", "readinessProbe"):
            probe = self.CONTAINER[name]
            assert probe["exec"]["command"] == ["python", "-m", "worker", "health"]
            assert 5 <= probe["timeoutSeconds"] <= probe["periodSeconds"]
        startup = self.CONTAINER["startupProbe"]
        assert startup["periodSeconds"] * startup["failureThreshold"] < self.SPEC["progressDeadlineSeconds"]

    def test_is_replaced_without_a_gap(self) -> None:
        assert self.SPEC["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        assert self.SPEC["replicas"] >= 2
        assert self.SPEC["minReadySeconds"] > 0

    def test_is_spread_over_nodes_and_zones(self) -> None:
        spread = {one["topologyKey"]: one for one in self.POD["topologySpreadConstraints"]}
        assert spread.keys() == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
        for one in spread.values():
            assert one["labelSelector"] == self.SPEC["selector"]
            assert (one["maxSkew"], one["whenUnsatisfiable"]) == (1, "ScheduleAnyway")

    def test_one_at_a_time_is_disrupted(self) -> None:
        budget = find(base(), "PodDisruptionBudget", "worker")["spec"]
        assert budget["maxUnavailable"] == 1
        assert budget["selector"] == self.SPEC["selector"]

    def test_pods_have_names_of_their_own(self) -> None:
        assert "WORKER_CONSUMER" not in {*variables(self.CONTAINER), *literals("base")}
        assert "hostname" not in self.POD


class TestDesk:
    def test_a_service_leads_to_it_and_it_asks_for_a_token(self) -> None:
        service, container = find(base(), "Service", "desk")["spec"], container_of(base(), "desk")
        (port,), (opened,) = service["ports"], container["ports"]
        assert port["targetPort"] == opened["name"] == container["readinessProbe"]["httpGet"]["port"]
        words = container["args"]
        assert words[words.index("--port") + 1] == str(opened["containerPort"])
        assert "--token-file" in words
        assert service["selector"].items() <= pod_of(base(), "desk")["metadata"]["labels"].items()
        (rule,) = find(base(), "NetworkPolicy", "desk")["spec"]["ingress"]
        assert [one["port"] for one in rule["ports"]] == [opened["containerPort"]]
        assert rule["from"]


class TestMigration:
    def test_is_tried_again_and_goes_away(self) -> None:
        job = find(base(), "Job", "migrate")["spec"]
        assert job["backoffLimit"] > 0
        assert job["ttlSecondsAfterFinished"] > 0
        assert job["template"]["spec"]["restartPolicy"] == "Never"


@pytest.mark.parametrize("name", KUSTOMIZATIONS)
class TestKustomizations:
    def test_files_are_there_and_each_is_named(self, name: str) -> None:
        named = set(referred(name))
        assert [path for path in named if not path.exists()] == []
        files = {path for path in (KUBERNETES / name).iterdir() if path.name != "kustomization.yaml"}
        assert files <= named

    def test_settings_are_accepted(self, name: str) -> None:
        given = dict(literals(name))
        assert [setting for setting in given if not is_setting(setting)] == []
        load_settings(SERVERS | given, dotenv=Path("/nonexistent"))

    def test_images_are_named_alike(self, name: str) -> None:
        built = {container_of(base(), component)["image"] for component in COMPONENTS}
        assert built == {"sampling-worker"}
        assert {image["name"] for image in read_kustomization(name).get("images", ())} <= built


@pytest.mark.needs("kubectl")
@pytest.mark.parametrize("name", KUSTOMIZATIONS)
class TestPutTogether:
    """What kustomize makes: settings reach the workers, and selectors find the pods that they are for."""

    def test_selectors_find_their_own_pods_alone(self, name: str) -> None:
        pods = {component: pod_of(build(name), component)["metadata"]["labels"] for component in COMPONENTS}
        for component in COMPONENTS:
            for kind, path in (
                ("Deployment", "selector"),
                ("PodDisruptionBudget", "selector"),
                ("NetworkPolicy", "podSelector"),
            ):
                for resource in build(name):
                    if (
                        resource["kind"] == kind
                        and resource["metadata"]["labels"]["app.kubernetes.io/component"] == component
                    ):
                        selected = resource["spec"][path]["matchLabels"].items()
                        assert [one for one, labels in pods.items() if selected <= labels.items()] == [component]

    def test_settings_reach_the_workers(self, name: str) -> None:
        maps = {one["metadata"]["name"]: one["data"] for one in build(name) if one["kind"] == "ConfigMap"}
        for component in ("worker", "desk"):
            (source,) = container_of(build(name), component)["envFrom"]
            assert {**literals("base"), **literals(name)}.items() <= maps[source["configMapRef"]["name"]].items()

    def test_all_is_in_one_namespace(self, name: str) -> None:
        spaces: set[Any] = {one["metadata"].get("namespace") for one in build(name) if one["kind"] != "Namespace"}
        assert len(spaces) == 1
        assert {one["metadata"]["name"] for one in build(name) if one["kind"] == "Namespace"} <= spaces

    def test_verbs_have_the_options_that_they_are_given(self, name: str) -> None:
        for component in COMPONENTS:
            verb, *words = container_of(build(name), component)["args"]
            given = {word.partition("=")[0] for word in words if word.startswith("-")}
            assert given <= {name for one in VERBS[verb].params for name in one.opts}
            VERBS[verb].make_context(verb, words)
