"""A built wheel is complete: whoever has only the wheel has what a source checkout has.

The wheel is built once, from a copy of the sources.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("algorithms", "fedrl_ray")
BUILD = """
from setuptools import build_meta
build_meta.build_wheel("dist")
build_meta.build_sdist("dist")
"""


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with a wheel and a source distribution, built twice in one place.

    A plug-in and a preset are deleted between the two builds.
    """
    tree = tmp_path_factory.mktemp("tree")
    for folder in (*PACKAGES, "tune_configs"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    deleted = (tree / "algorithms/aggregators/deleted.py", tree / "tune_configs/deleted.yaml")
    for path in deleted:
        path.write_text("# This file is in the first build.\n")
    python(tree, "-c", BUILD)
    for path in deleted:
        path.unlink()
    python(tree, "-c", BUILD)
    return tree / "dist"


def python(folder: Path, *arguments: str, interpreter: str = sys.executable) -> str:
    """Run Python in a folder, without this checkout on its path; return what it prints."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [interpreter, *arguments], cwd=folder, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sources() -> set[str]:
    """Return every file that an installation must have, by its path in the wheel."""
    own = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    return own | {f"fedrl_ray/tune_configs/{p.name}" for p in (ROOT / "tune_configs").iterdir()}


def test_the_wheel_has_every_file_and_no_other(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        preset = archive.read("fedrl_ray/tune_configs/cartpole-fedrdqn.yaml")
        entry_points = archive.read("fedrl_ray-0.1.0.dist-info/entry_points.txt").decode()
    assert names == sources()
    assert {f"{package}/py.typed" for package in PACKAGES} < names
    assert preset == (ROOT / "tune_configs/cartpole-fedrdqn.yaml").read_bytes()
    assert "fedrl-ray = fedrl_ray.cli.main:main" in entry_points


def test_the_source_distribution_has_what_a_wheel_is_built_from(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    presets = {str(path.relative_to(ROOT)) for path in (ROOT / "tune_configs").iterdir()}
    modules = {name for name in sources() if "/tune_configs/" not in name}
    assert presets | modules | {"setup.py", "pyproject.toml", "LICENSE"} <= names


def test_an_unpacked_wheel_lists_and_describes_its_presets(dist: Path, tmp_path: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = (
        "import sys; sys.path.insert(0, 'site')\n"
        "from fedrl_ray.cli.catalogue import catalogue, describe\n"
        "print(catalogue()); print(describe('windy_cliff-fedrq'))"
    )
    out = python(tmp_path, "-c", program)
    for preset in (ROOT / "tune_configs").iterdir():
        assert f"{tmp_path}/site/fedrl_ray/tune_configs/{preset.name}" in out
    assert out.endswith((ROOT / "tune_configs/windy_cliff-fedrq.yaml").read_text().rstrip() + "\n")


@pytest.mark.slow
@pytest.mark.timeout(900)  # nothing is compiled yet, neither by Python nor by Numba
def test_an_installed_wheel_does_what_the_readme_says(dist: Path, tmp_path: Path) -> None:
    """A fresh environment has the wheel; only what the wheel depends on comes from this one."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    own = Path(python(tmp_path, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])",
                      interpreter=str(home / "bin" / "python")).strip())  # fmt: skip
    (own / "dependencies.pth").write_text("\n".join(p for p in sys.path if "site-packages" in p))
    (wheel,) = dist.glob("*.whl")
    interpreter = str(home / "bin" / "python")
    python(tmp_path, "-m", "pip", f"--python={interpreter}", "install", "--quiet", "--no-deps",
           "--no-index", "--force-reinstall", str(wheel))  # fmt: skip

    def fedrl(folder: Path, *words: str) -> str:
        return python(folder, str(home / "bin" / "fedrl-ray"), *words, interpreter=interpreter)

    found = python(tmp_path, "-c", "import fedrl_ray; print(fedrl_ray.__file__)",
                   interpreter=interpreter)  # fmt: skip
    assert found.strip() == str(own / "fedrl_ray" / "__init__.py")
    assert "  sweep-cartpole-quick " in fedrl(tmp_path, "list")
    assert "pole_length" in fedrl(tmp_path, "describe", "cartpole")
    few = ("--set", "federation.steps=200", "--set", "federation.backend=in_process")
    fedrl(tmp_path, "new", "mine")
    assert "worst" in fedrl(tmp_path / "mine", "train", "experiment.yaml", *few)
    assert "worst" in fedrl(tmp_path, "train", "cartpole-fedrdqn", *few)
    assert (tmp_path / "runs" / "cartpole-fedrdqn" / "report.html").exists()
