"""cluster/prometheus*.yaml and grafana-dashboard.json, checked by the programs that read them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import ray
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from ray._common.utils import get_default_ray_temp_dir
from ray._private.ray_constants import PROMETHEUS_SERVICE_DISCOVERY_FILE
from ray.dashboard.modules.metrics.dashboards import default_dashboard_panels

from fedrl_ray.runs.prometheus import METRICS

CLUSTER = Path(__file__).parents[2] / "cluster"
OURS = {f"ray_{m.name}{'_total' if m.kind == 'counter' else ''}": m for m in METRICS}
PANELS = Path(default_dashboard_panels.__file__).read_text()  # Ray's own dashboard
NODES = (Path(ray.__file__).parent / "dashboard/modules/reporter/reporter_agent.py").read_text()
RAYS = set(re.findall(r"\bray_\w+", PANELS))
RAYS |= {f"ray_{name}" for name in re.findall(r'"(node_\w+)": Gauge\(', NODES)}


def scrape_config(name: str) -> dict[str, Any]:
    (job,) = yaml.safe_load((CLUSTER / name).read_text())["scrape_configs"]
    return job


def dashboard() -> dict[str, Any]:
    return json.loads((CLUSTER / "grafana-dashboard.json").read_text())


def queries() -> list[str]:
    return [t["expr"] for panel in dashboard()["panels"] for t in panel.get("targets", [])]


def promtool(path: Path) -> str:
    """Return the errors of `promtool check config`; empty if there is none."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool, which comes with Prometheus, is not on PATH")
    command = [program, "check", "config", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stderr if result.returncode else ""


def test_prometheus_takes_its_file():
    assert promtool(CLUSTER / "prometheus.yaml") == ""


def test_prometheus_takes_the_file_for_kubernetes(tmp_path):
    """Debian's Prometheus is built without Kubernetes: there, all but that one section is held
    against it."""
    path = CLUSTER / "prometheus-kubernetes.yaml"
    wrong = promtool(path)
    if "field kubernetes_sd_configs not found" in wrong:
        path = tmp_path / "prometheus.yaml"
        data = yaml.safe_load((CLUSTER / "prometheus-kubernetes.yaml").read_text())
        assert data["scrape_configs"][0].pop("kubernetes_sd_configs") == [{"role": "pod"}]
        path.write_text(yaml.safe_dump(data))
        wrong = promtool(path)
    assert wrong == ""


def test_prometheus_reads_the_list_that_ray_writes(monkeypatch):
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.delenv("TMPDIR", raising=False)
    (files,) = scrape_config("prometheus.yaml")["file_sd_configs"]
    assert files["files"] == [f"{get_default_ray_temp_dir()}/{PROMETHEUS_SERVICE_DISCOVERY_FILE}"]


def test_kubernetes_pods_name_the_port_that_prometheus_looks_for():
    rules = scrape_config("prometheus-kubernetes.yaml")["relabel_configs"]
    (name,) = (r["regex"] for r in rules if "port_name" in r["source_labels"][0])
    for file in CLUSTER.glob("kuberay-ray*.yaml"):
        assert file.read_text().count(f"{{name: {name}, containerPort: 8080}}") == 2


def test_grafana_takes_the_dashboard_and_knows_every_field_of_it():
    register_default_plugins()
    model = Dashboard.from_json(dashboard())
    assert not lost(dashboard(), json.loads(JSONEncoder().encode(model)))


def lost(given: Any, kept: Any, path: str = "") -> list[str]:
    """Return the paths whose value Grafana's own model of a dashboard does not keep."""
    if isinstance(given, dict) and isinstance(kept, dict):
        return [p for key in given for p in lost(given[key], kept.get(key), f"{path}.{key}")]
    if isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        return [
            p
            for i, pair in enumerate(zip(given, kept, strict=True))
            for p in lost(*pair, f"{path}.{i}")
        ]
    return [] if given == kept else [path]


def test_a_field_that_grafana_does_not_know_is_found():
    register_default_plugins()
    data = dashboard() | {"titel": "x"}
    assert lost(data, json.loads(JSONEncoder().encode(Dashboard.from_json(data)))) == [".titel"]


@pytest.mark.parametrize("query", queries())
def test_queries_parse_and_ask_for_metrics_that_exist(query):
    promql_parser.parse(query.replace("$__rate_interval", "1m"))
    names = set(re.findall(r"\bray_\w+", query))
    assert names and names <= set(OURS) | RAYS
    for name in names & set(OURS):
        selector = re.search(rf"(\w+\()?{name}{{(.*?)}}", query)
        assert selector is not None and selector[2] == 'run=~"$run"'
        rated = selector[1] in ("rate(", "increase(")
        assert not rated or OURS[name].kind == "counter"


def test_labels_that_queries_group_by_are_tags_of_the_metric():
    for query in queries():
        for name in set(re.findall(r"\bray_\w+", query)) & set(OURS):
            labels = set(re.findall(r"\w+", " ".join(re.findall(r"\bby \((.*?)\)", query))))
            assert labels <= {"run", *OURS[name].tags}, query


def test_every_metric_of_ours_is_on_the_dashboard():
    assert set(OURS) == set(re.findall(r"\bray_fedrl_\w+", " ".join(queries())))
