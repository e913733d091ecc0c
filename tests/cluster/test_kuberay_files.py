"""cluster/kuberay-*.yaml, checked with the schemas of Kubernetes and of KubeRay."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import ray
import yaml

ROOT = Path(__file__).parents[2]
RAY_KINDS = ["kuberay-rayjob.yaml", "kuberay-raycluster.yaml"]
SCHEMA = yaml.safe_load((ROOT / "tests/schemas/kuberay.yaml").read_text())
CRDS = os.environ.get("FEDRL_RAY_KUBERAY_CRDS")
needs_crds = pytest.mark.skipif(CRDS is None, reason="FEDRL_RAY_KUBERAY_CRDS names no folder")


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "cluster" / name).read_text())


def ray_cluster(name: str) -> dict[str, Any]:
    spec = read(name)["spec"]
    return spec.get("rayClusterSpec", spec)


def groups(name: str) -> list[dict[str, Any]]:
    cluster = ray_cluster(name)
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def check_kubernetes(document: dict[str, Any]) -> None:
    """Validate as strictly as the API server: unknown fields are errors."""
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_the_volume_claim_meets_kubernetes_schema():
    claim = read("kuberay-storage.yaml")
    check_kubernetes(claim)
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


@pytest.mark.parametrize("name", RAY_KINDS)
def test_pods_meet_kubernetes_schema(name):
    for group in groups(name):
        check_kubernetes({"apiVersion": "v1", "kind": "Pod", "metadata": {}, **group["template"]})


def test_an_unknown_field_of_a_pod_is_refused():
    template = groups(RAY_KINDS[0])[0]["template"]
    template["spec"]["containers"][0]["resource"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="resource"):
        check_kubernetes({"apiVersion": "v1", "kind": "Pod", "metadata": {}, **template})


@pytest.mark.parametrize("name", RAY_KINDS)
def test_ray_kinds_meet_the_schema_of_what_we_use(name):
    jsonschema.validate(read(name), SCHEMA)


@pytest.mark.parametrize("name", RAY_KINDS)
def test_a_cluster_asks_for_tokens_scales_and_keeps_its_files(name):
    cluster = ray_cluster(name)
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["rayVersion"] == ray.__version__
    for workers in cluster["workerGroupSpecs"]:
        assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    claim = read("kuberay-storage.yaml")["metadata"]["name"]
    for group in groups(name):
        pod = group["template"]["spec"]
        assert pod["volumes"] == [
            {"name": "storage", "persistentVolumeClaim": {"claimName": claim}}
        ]
        (container,) = pod["containers"]
        assert {"name": "storage", "mountPath": "/storage"} in container["volumeMounts"]


def test_a_job_that_is_run_again_goes_on_from_the_volume():
    job = read("kuberay-rayjob.yaml")["spec"]
    assert job["backoffLimit"] > 0 and job["shutdownAfterJobFinishes"] is True
    assert "--restartable" in job["entrypoint"] and "--output /storage/" in job["entrypoint"]


@cache
def definition(kind: str) -> dict[str, Any]:
    """Return the schema of ray.io/v1 in the operator's own definition of a kind."""
    text = (Path(str(CRDS)) / f"ray.io_{kind.lower()}s.yaml").read_text()
    crd = yaml.load(text, Loader=yaml.CSafeLoader)  # a megabyte: half a minute in Python
    (version,) = (v for v in crd["spec"]["versions"] if v["name"] == "v1")
    return version["schema"]["openAPIV3Schema"]


def strict(schema: Any) -> Any:
    """Return a definition as the API server reads it: no unknown fields, counts may be words."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: strict(value) for key, value in schema.items()}
    if schema.get("x-kubernetes-int-or-string"):
        schema["type"] = ["integer", "string"]
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        schema.setdefault("additionalProperties", False)
    return schema


def with_metadata(schema: dict[str, Any]) -> dict[str, Any]:
    """Drop `metadata`, which the API server itself checks, not a definition."""
    schema = copy.deepcopy(schema)
    schema["properties"]["metadata"] = {"type": "object", "required": ["name"]}
    return schema


@needs_crds
@pytest.mark.parametrize("name", RAY_KINDS)
def test_ray_kinds_meet_the_operators_own_definitions(name):
    document = read(name)
    schema = strict(with_metadata(definition(document["kind"])))
    jsonschema.validate(document, schema)
    document["spec"]["entrypiont"] = "true"
    with pytest.raises(jsonschema.ValidationError, match="entrypiont"):
        jsonschema.validate(document, schema)


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every field of our schema with its path; references are followed."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    for name, below in schema.get("properties", {}).items():
        yield f"{path}.{name}", below
        yield from fields(below, f"{path}.{name}")
    if "items" in schema:
        yield from fields(schema["items"], path)


@needs_crds
@pytest.mark.parametrize(("kind", "part"), [("RayJob", "job"), ("RayCluster", "cluster")])
def test_our_schema_names_no_field_that_the_operator_lacks(kind, part):
    for path, _ in fields(SCHEMA["$defs"][part]):
        node = definition(kind)["properties"]["spec"]
        for name in path.strip(".").split("."):
            node = node.get("items", node)["properties"]
            assert name in node, f"{kind} spec{path}"
            node = node[name]
