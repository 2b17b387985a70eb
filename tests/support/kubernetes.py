"""The manifests of `deploy/kubernetes/`, as they stand and as kustomize puts them together."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
KUSTOMIZATIONS = sorted(
    path.parent.relative_to(KUBERNETES).as_posix() for path in KUBERNETES.rglob("kustomization.yaml")
)
COMPONENTS = ("worker", "migrate", "desk")

Resource = dict[str, Any]


def read_kustomization(name: str) -> Resource:
    return dict(yaml.safe_load((KUBERNETES / name / "kustomization.yaml").read_text(encoding="utf-8")))


@cache
def base() -> tuple[Resource, ...]:
    """Return the resources of the base, as they stand."""
    names = read_kustomization("base")["resources"]
    texts = [(KUBERNETES / "base" / name).read_text(encoding="utf-8") for name in names]
    return tuple(resource for text in texts for resource in yaml.safe_load_all(text))


@cache
def build(name: str) -> tuple[Resource, ...]:
    """Return the resources of a kustomization, put together by kustomize itself."""
    words = [shutil.which("kubectl") or "", "kustomize", str(KUBERNETES / name)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def find(resources: tuple[Resource, ...], kind: str, component: str) -> Resource:
    """Return the one resource of a kind that belongs to a component."""
    label = "app.kubernetes.io/component"
    (found,) = (
        one for one in resources if one["kind"] == kind and one["metadata"].get("labels", {}).get(label) == component
    )
    return found


def pod_of(resources: tuple[Resource, ...], component: str) -> Resource:
    """Return the template of a component's pods."""
    return dict(find(resources, "Job" if component == "migrate" else "Deployment", component)["spec"]["template"])


def container_of(resources: tuple[Resource, ...], component: str) -> Resource:
    (container,) = pod_of(resources, component)["spec"]["containers"]
    return dict(container)


def variables(container: Resource) -> Mapping[str, str]:
    """Return the variables that a container names itself."""
    return {one["name"]: one["value"] for one in container.get("env", ())}


def literals(name: str) -> Mapping[str, str]:
    """Return the settings that a kustomization adds."""
    maps = read_kustomization(name).get("configMapGenerator", ())
    return dict(line.split("=", 1) for one in maps for line in one["literals"])


def referred(name: str) -> Iterator[Path]:
    """Yield the files and folders that a kustomization names."""
    kustomization = read_kustomization(name)
    patches = [patch["path"] for patch in kustomization.get("patches", ()) if "path" in patch]
    for path in [*kustomization["resources"], *patches]:
        yield KUBERNETES / name / path
