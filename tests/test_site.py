"""`make docs`: a site of all pages that works without the internet, and no broken link passes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mkdocs", reason="no MkDocs")
ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))  # after tests/, which has a module of the same name

from browser import Browser, find_chromium  # noqa: E402

PARTS = (
    "website",
    "docs",
    "cluster",
    "examples",
    "tune_configs",
    "algorithms",
    "fedrl_ray",
    "tests/schemas",
)
BROWSER = pytest.mark.skipif(find_chromium() is None, reason="no Chromium on PATH")


def build(tree: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Run the command of `make docs` in a tree."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the built site."""
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_on_the_site(site: Path) -> None:
    pages = {p.relative_to(ROOT).with_suffix(".html") for p in (ROOT / "docs").rglob("*.md")}
    index = {page.parent / "index.html" if page.stem == "README" else page for page in pages}
    assert [str(page) for page in index if not (site / page).is_file()] == []
    home = (site / "index.html").read_text(encoding="utf-8")
    assert "Federated reinforcement learning for agents whose environments differ" in home
    assert 'href="docs/commands.html"' in home


def test_the_reference_holds_the_seams_with_their_docstrings(site: Path) -> None:
    text = "".join(p.read_text(encoding="utf-8") for p in (site / "api").glob("*.html"))
    for name in (
        "fedrl_ray.config.loading.load",
        "fedrl_ray.federation.driver.Driver.rounds",
        "algorithms.learner.Learner.step",
        "algorithms.aggregator.SumAggregator.contribute",
        "algorithms.server_optimizer.ServerOptimizer.apply",
        "algorithms.client_sampler.ClientSampler.sample",
        "algorithms.vector_env.VectorEnv.step",
        "fedrl_ray.vector_envs.family.EnvFamily.draw",
        "algorithms.tabular.federated_mdp.in_covering_set",
    ):
        assert f'id="{name}"' in text
    assert "Take one local step with all N agents" in text


def test_no_page_names_a_script_font_or_picture_of_a_server(site: Path) -> None:
    loads = r"<(?:script|img|iframe|source)[^>]*\ssrc=[\"']?(?:https?:)?//|<link[^>]*href=[\"']?https?://"
    pages = list(site.rglob("*.html"))
    assert len(pages) > 70
    assert [p.name for p in pages if re.search(loads, p.read_text(encoding="utf-8"))] == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with Browser(width=1200) as opened:
        yield opened


@BROWSER
def test_diagrams_are_drawn_from_files_alone(site: Path, browser: Any) -> None:
    browser.open(site / "docs" / "design.html")
    # the theme draws into closed shadow roots, so their height tells that they are drawn
    drawn = "[...document.querySelectorAll('div.mermaid')].filter(d => d.clientHeight > 100)"
    browser.wait_for(f"{drawn}.length === 3")
    assert_nothing_is_fetched(browser)


@BROWSER
def test_the_search_finds_from_files_alone(site: Path, browser: Any) -> None:
    browser.open(site / "docs" / "statistics.html")
    browser.evaluate(
        "(field => { field.focus(); field.value = 'expectile';"
        "field.dispatchEvent(new Event('keyup')); })(document.querySelector('.md-search__input'))"
    )
    browser.wait_for("document.querySelectorAll('.md-search-result__item').length > 2")
    found = browser.evaluate("document.querySelector('.md-search-result__list').textContent")
    assert "expectile_regression" in found
    assert_nothing_is_fetched(browser)


@BROWSER
@pytest.mark.parametrize("page", ["index", "docs/design", "docs/results", "api/learners"])
def test_a_page_fits_on_a_phone(site: Path, browser: Any, page: str) -> None:
    browser.resize(390, 800)
    browser.open(site / f"{page}.html")
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390


def assert_nothing_is_fetched(browser: Any) -> None:
    assert browser.messages == []
    assert [url for url in browser.requests if not url.startswith(("file:", "data:"))] == []


@pytest.mark.slow
def test_broken_links_fail(tmp_path: Path) -> None:
    for part in PARTS:
        shutil.copytree(ROOT / part, tmp_path / part)
    for file in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "mkdocs.yml"):
        shutil.copy(ROOT / file, tmp_path)
    with (tmp_path / "docs" / "jobs.md").open("a") as page:
        page.write("[page](nowhere.md) [heading](rllib.md#no-heading) [file](../cluster/none.sh)\n")
    (tmp_path / "docs" / "lonely.md").write_text("# A page that the navigation lacks\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    for words in ("nowhere.md", "#no-heading", "none.sh", "docs/lonely.md"):
        assert words in done.stderr
