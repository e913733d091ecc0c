"""The examples of docs/extending.md pass the contract tests as files in plug-in folders.

Each is written to the path it names, in a copy of the source tree.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = {
    path: f"# {path}\n{text}"
    for path, text in re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
}
"""Path in the first line of a block -> the block."""
PLUGINS = [Path(path).stem for path in BLOCKS if path.endswith(".py")]
EXPERIMENTS = [path for path in BLOCKS if path.endswith(".yaml")]
CONTRACTS = (
    "tests/algorithms/test_aggregators.py",
    "tests/algorithms/test_client_samplers.py",
    "tests/algorithms/test_server_optimizers.py",
    "tests/environments/test_environments.py",
    "tests/test_plugins.py",
)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the source tree with the files of the page."""
    tree = tmp_path_factory.mktemp("extended")
    for folder in ("algorithms", "fedrl_ray", "tests", "tune_configs"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tree / folder, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tree)
    for path, text in BLOCKS.items():
        assert not (tree / path).exists(), f"{path} exists already: the example is no new file"
        (tree / path).write_text(text, encoding="utf-8")
    return tree


def python(tree: Path, *arguments: str) -> str:
    """Run Python in the copy and return what it prints."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_page_has_an_example_of_every_kind() -> None:
    folders = {str(Path(path).parent) for path in BLOCKS}
    kinds = ("aggregators", "server_optimizers", "client_samplers", "learners")
    assert folders == {f"algorithms/{kind}" for kind in kinds} | {
        "fedrl_ray/environments",
        "tune_configs",
    }
    assert len(PLUGINS) == 7 and len(EXPERIMENTS) == 2
    together = "".join(BLOCKS[path] for path in EXPERIMENTS)
    assert all(f"name: {name}" in together for name in PLUGINS)


def test_the_examples_are_listed(extended: Path) -> None:
    listed = python(extended, "-m", "fedrl_ray", "list")
    assert all(re.search(rf"^  {name} +\S", listed, re.MULTILINE) for name in PLUGINS)


def test_the_examples_pass_the_contract_tests(extended: Path) -> None:
    """The contracts include: packing and resuming change no bit of the page's experiments."""
    chosen = f"({' or '.join(PLUGINS)}) and not one_of_a_pair"
    options = ("-k", chosen, "-v", "-p", "no:cacheprovider", "--no-header")
    result = python(extended, "-m", "pytest", *CONTRACTS, *options)
    for name in PLUGINS:
        assert re.search(rf"\[.*{name}.*\] PASSED", result), f"no test ran on {name}"
    for name in map(Path, EXPERIMENTS):
        for test in ("trains_and_is_scored", "packing_and_resuming_change_no_bit"):
            assert re.search(rf"{test}\[{name.stem}\] PASSED", result)
