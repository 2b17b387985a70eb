"""The overlays of KEDA: what KEDA accepts, and what fits clients that ask no further while they wait."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from worker.core.keys import Keys

OVERLAYS = Path(__file__).parents[2] / "deploy" / "kubernetes" / "overlays"
EVALUATION_S = 1800
"""The longest pause of a training that is thought of: an evaluation, or a checkpoint."""
# Of each trigger, by KEDA's documents: what tells where Redis is, and what else may be said. The schema of KEDA's own
# resources leaves these out: to it, `metadata` is any texts.
STREAMS = {
    "redis-streams": ({"address"}, {"stream", "streamLength", "databaseIndex", "enableTLS", "unsafeSsl"}),
    "redis-sentinel-streams": (
        {"addresses", "sentinelMaster"},
        {"stream", "streamLength", "databaseIndex", "enableTLS", "unsafeSsl"},
    ),
    "redis-cluster-streams": ({"addresses"}, {"stream", "streamLength", "enableTLS", "unsafeSsl"}),
}
FORMS = {
    "keda": ("redis-streams", "audio"),
    "keda-sentinel": ("redis-sentinel-streams", "audio"),
    "keda-cluster": ("redis-cluster-streams", "{audio}"),
    "keda-to-zero": ("redis-streams", "audio"),
}


def read(name: str) -> Any:
    """Read one document."""
    return yaml.safe_load((OVERLAYS / name).read_text(encoding="utf-8"))


def scaled_object(overlay: str) -> Any:
    """Return the ScaledObject of an overlay, with the overlay's patches."""
    found = read("keda/scaled-object.yaml")
    if overlay != "keda":
        for patch in read(f"{overlay}/kustomization.yaml")["patches"]:
            assert patch["target"] == {"kind": found["kind"], "name": found["metadata"]["name"]}
            for operation in read(f"{overlay}/{patch['path']}"):
                change(found, **operation)
    return found


def change(document: Any, *, op: str, path: str, value: Any) -> None:
    """Do one operation of a JSON patch."""
    *names, last = (int(name) if name.isdigit() else name for name in path.split("/")[1:])
    for name in names:
        document = document[name]
    assert (op == "replace") == (last in document), f"{op} {path}"
    document[last] = value


def problems(document: Any) -> list[str]:
    """List what departs from the schema of a document's kind; an unknown field is a problem too."""
    from cloudcoil.models.keda import v1alpha1

    schema = getattr(v1alpha1, document["kind"]).model_json_schema(by_alias=True)
    close(schema)
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(document)]


def close(schema: Any) -> None:
    """Let a schema accept only the fields that it names."""
    if isinstance(schema, dict) and "properties" in schema:
        schema.setdefault("additionalProperties", False)
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        close(inner)


@pytest.mark.parametrize("overlay", FORMS)
def test_keda_accepts_each_form(overlay: str) -> None:
    assert problems(scaled_object(overlay)) == []
    assert problems(read("keda/trigger-authentication.yaml")) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/spec/coolDownPeriod", 60),
        ("/spec/scaleTargetRef/kinds", "Deployment"),
        ("/spec/triggers/0/metadata/databaseIndex", 0),
        ("/spec/advanced/horizontalPodAutoscalerConfig/behavior/scaleDown/window", 5),
    ],
)
def test_what_keda_does_not_accept_is_found(path: str, value: Any) -> None:
    wrong = scaled_object("keda")
    change(wrong, op="add", path=path, value=value)
    assert len(problems(wrong)) == 1


@pytest.mark.parametrize("overlay", FORMS)
def test_it_looks_at_all_that_is_not_answered(overlay: str) -> None:
    """With a consumer group, KEDA would look at the lag or at pending entries."""
    kind, prefix = FORMS[overlay]
    stream, cpu = scaled_object(overlay)["spec"]["triggers"]
    places, others = STREAMS[kind]
    assert (stream["type"], stream["metadata"]["stream"]) == (kind, Keys(prefix).requests)
    assert places <= stream["metadata"].keys() <= places | others
    assert int(stream["metadata"]["streamLength"]) > 0
    assert (cpu["type"], cpu["metricType"], cpu["metadata"]) == ("cpu", "AverageValue", {"value": "700m"})


@pytest.mark.parametrize("overlay", FORMS)
def test_a_pause_of_all_trainings_ends_no_worker_that_they_need(overlay: str) -> None:
    spec = scaled_object(overlay)["spec"]
    assert 1 <= spec["minReplicaCount"] <= spec["maxReplicaCount"]
    assert spec["cooldownPeriod"] >= 2 * EVALUATION_S
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 2 * EVALUATION_S
    assert behavior["scaleDown"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 60}]
    assert spec.get("idleReplicaCount") == (0 if overlay == "keda-to-zero" else None)


def test_it_scales_the_workers_and_leaves_no_count_that_contradicts_it() -> None:
    target = scaled_object("keda")["spec"]["scaleTargetRef"]["name"]
    patch = read("keda/replicas.yaml")
    assert (patch["kind"], patch["metadata"]["name"], patch["spec"]) == ("Deployment", target, {"replicas": None})


def test_each_overlay_names_files_that_are_there() -> None:
    assert {path.name for path in OVERLAYS.glob("keda*")} == set(FORMS)
    for overlay in FORMS:
        found = read(f"{overlay}/kustomization.yaml")
        named = {patch["path"] for patch in found["patches"]}
        named |= {name for name in found["resources"] if name.endswith(".yaml")}
        assert named | {"kustomization.yaml"} == {path.name for path in (OVERLAYS / overlay).iterdir()}
        assert found["resources"][0] == ("../../base" if overlay == "keda" else "../keda")


def test_the_login_is_the_one_that_the_trigger_names() -> None:
    login = read("keda/trigger-authentication.yaml")
    for overlay in FORMS:
        assert scaled_object(overlay)["spec"]["triggers"][0]["authenticationRef"] == {"name": login["metadata"]["name"]}
    assert [one["parameter"] for one in login["spec"]["secretTargetRef"]] == ["username", "password"]
