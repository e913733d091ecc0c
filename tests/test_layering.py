"""Imports go one way: through the packages of fedrl_ray, then algorithms, then libraries.

A worker's memory and start-up are what its modules import, so the command line, reports and Tune
stay out of them.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "cli", "export", "dashboard", "reports", "jobs", "chaos", "sweeps", "runs", "federation",
    "backends", "learners", "rllib", "agents", "environments", "config", "ray_cluster",
    "vector_envs", "storage", "analysis", "common",
)  # fmt: skip
"""Packages of fedrl_ray from the top down: each imports only from those after it."""
ROOT_FILES = {"__init__.py", "__main__.py", "py.typed"}
LIBRARIES = {"filelock", "llvmlite", "numba", "numpy", "pydantic", "scipy", "torch"}
ALLOWED = {"algorithms"} | LIBRARIES | set(sys.stdlib_module_names)
NOT_IN_A_WORKER = ("plotly", "ray.rllib", "ray.tune", "rich", "tensorboardX", "typer")

SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text(encoding="utf-8")
    for folder in ("algorithms", "fedrl_ray")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
"""Module name -> source; a package's own file is called `package.__init__`."""

IMPORT = """
import json, sys
from fedrl_ray.config import plugins
import {module}
for kind in plugins.KINDS:
    for name in plugins.names(kind):
        plugins.load(kind, name)
print(json.dumps(sorted(sys.modules)))
"""


def imported(module: str, source: str) -> Iterator[str]:
    """Yield the absolute names that a module imports, anywhere in the file.

    Names imported from a package come with the package, because they may be modules.
    """
    package = module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = ".".join([*base, *(node.module.split(".") if node.module else [])])
            yield from (f"{target}.{alias.name}" for alias in node.names)


def upward(sources: Mapping[str, str]) -> list[str]:
    """Return the imports that run from a package of fedrl_ray to one above it."""
    found = []
    for module, source in sources.items():
        own = module.split(".")
        for name in imported(module, source):
            root, _, rest = name.partition(".")
            package = rest.split(".")[0]
            if len(own) < 3 or own[0] != "fedrl_ray" or root != "fedrl_ray":
                continue
            if package not in PACKAGES:
                found.append(f"{module} imports {name}, which is in no package")
            elif PACKAGES.index(package) < PACKAGES.index(own[1]):
                found.append(f"{module} imports {name}")
    return found


def circles(sources: Mapping[str, str]) -> list[list[str]]:
    """Return circles of imports among modules, with those for type checkers and in functions."""
    graph = {module: _modules_imported(module, sources) for module in sources}
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> None:
        if module in path:
            found.append(path[path.index(module) :])
        elif module not in done:
            for other in graph[module]:
                visit(other, [*path, module])
            done.add(module)

    for module in graph:
        visit(module, [])
    return found


def _modules_imported(module: str, sources: Mapping[str, str]) -> set[str]:
    """Return the modules that a module's imports name, or that hold the imported names."""
    found = set()
    for name in imported(module, sources[module]):
        parent = name.rpartition(".")[0]
        candidates = (name, f"{name}.__init__", parent, f"{parent}.__init__")
        target = next((c for c in candidates if c in sources), None)
        if target is not None and target != module:
            found.add(target)
    return found


def modules_after(module: str) -> set[str]:
    """Return the modules of a fresh interpreter after it imports a module and every plug-in."""
    command = [sys.executable, "-c", IMPORT.format(module=module)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(result.stdout))


def test_imports_are_found_at_any_depth() -> None:
    source = "import a.b\nfrom c.d import e\ndef f():\n    import g as h\nfrom . import i\n"
    assert list(imported("p.m", source)) == ["a.b", "c.d.e", "p.i", "g"]


def test_the_root_holds_packages_only() -> None:
    here = {path.name for path in (ROOT / "fedrl_ray").iterdir() if path.name != "__pycache__"}
    assert here == ROOT_FILES | set(PACKAGES)


def test_packages_import_only_from_packages_below_them() -> None:
    assert upward(SOURCES) == []


@pytest.mark.parametrize(
    "source", ["from ..runs.run import Run", "def f():\n    import fedrl_ray.cli.main"]
)
def test_an_upward_import_is_found(source: str) -> None:
    (found,) = upward({"fedrl_ray.agents.new": source})
    assert found.startswith("fedrl_ray.agents.new imports fedrl_ray.")


def test_modules_import_each_other_in_no_circle() -> None:
    assert circles(SOURCES) == []


def test_a_circle_is_found() -> None:
    sources = {"p.a": "from .b import x", "p.b": "def f():\n    from . import a", "p.__init__": ""}
    assert circles(sources) == [["p.a", "p.b"]]


@pytest.mark.parametrize("module", [m for m in SOURCES if m.startswith("algorithms.")])
def test_algorithms_know_nothing_of_where_they_run(module: str) -> None:
    roots = {name.split(".")[0] for name in imported(module, SOURCES[module])}
    assert roots <= ALLOWED


@pytest.mark.parametrize(
    "module", ["fedrl_ray.agents.local_agents", "fedrl_ray.backends.ray_backend"]
)
def test_a_worker_imports_only_what_it_needs(module: str) -> None:
    modules = modules_after(module)
    assert module in modules
    unwanted = [m for m in NOT_IN_A_WORKER if m in modules]
    assert not unwanted


def test_local_agents_know_nothing_of_ray() -> None:
    assert "ray" not in modules_after("fedrl_ray.agents.local_agents")
