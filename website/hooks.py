"""Hooks of MkDocs: the pages of the repository at their own paths, and diagrams offline.

A page keeps its path in the repository, so its relative links hold on the site as they do there.
Nothing is copied by hand: MkDocs reads the files where they are.
"""

from __future__ import annotations

import importlib.util
import posixpath
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**/*.md", "cluster/*.md",
         "examples/**/*.md", "tests/schemas/*.md")  # fmt: skip
LINKED = ("docs/**/*.png", "docs/**/*.json", "tune_configs/*.yaml", "examples/*/*.yaml",
          "examples/*/*.py")  # fmt: skip
"""Files that pages show or link to."""
MERMAID = "assets/mermaid.js"
RECORDS = "docs/decisions"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put every decision record into the section of the navigation that has their index."""
    index = f"{RECORDS}/README.md"
    paths = [path for path in _found(config, f"{RECORDS}/*.md") if path != index]
    records = [{_title(_root(config) / path): path} for path in paths]
    for section in _sections(config.nav):
        if index in section:
            section += records
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the repository, the files that they link to, and Mermaid."""
    for pattern in (*PAGES, *LINKED):
        for path in _found(config, pattern):
            folder = str(_root(config))
            files.append(File(path, folder, config.site_dir, config.use_directory_urls))
    files.append(File.generated(config, MERMAID, content=_mermaid().read_bytes()))
    return files


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Load Mermaid on pages with diagrams; otherwise the theme would ask a server for it."""
    if '<pre class="mermaid">' not in html:
        return html
    script = posixpath.relpath(MERMAID, posixpath.dirname(page.file.dest_uri) or ".")
    return f'{html}\n<script src="{script}"></script>'


def _root(config: MkDocsConfig) -> Path:
    return Path(config.config_file_path).resolve().parent


def _found(config: MkDocsConfig, pattern: str) -> list[str]:
    """Return the paths in the repository that match a pattern, sorted."""
    root = _root(config)
    return sorted(path.relative_to(root).as_posix() for path in root.glob(pattern))


def _title(page: Path) -> str:
    """Return the heading of a page, without the word that all records begin with."""
    heading = page.read_text(encoding="utf-8").partition("\n")[0].strip("# ").replace("`", "")
    title = heading.removeprefix("Decision: ")
    return title[:1].upper() + title[1:]


def _sections(nav: Any) -> list[list[Any]]:
    """Return the navigation and all sections in it, each a list of entries."""
    inner = [part for entry in nav if isinstance(entry, dict) for part in entry.values()]
    return [nav, *(s for part in inner if isinstance(part, list) for s in _sections(part))]


def _mermaid() -> Path:
    """Return Mermaid's script, which the package mermaidx ships unmodified."""
    package = importlib.util.find_spec("mermaidx")
    folders = (package and package.submodule_search_locations) or [""]
    path = Path(folders[0], "assets", "mermaid.js")
    if not path.is_file():
        raise PluginError("Mermaid's script is missing; run `pip install 'fedrl-ray[docs]'`")
    return path
