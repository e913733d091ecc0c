"""The pages of the documentation, and the commands and files that their blocks show."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "cluster").glob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_SHELL = ("", "sh", "bash", "console")


class Command(NamedTuple):
    """A command of a page: where it stands, and its words."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def fenced(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a page in one language."""
    return [text for _, name, text in _FENCE.findall(_text(page)) if name == language]


def commands(*programs: str) -> list[Command]:
    """Return the commands of all pages that start one of some programs, in order.

    They stand in blocks that are indented or fenced as shell, and in inline code.
    """
    return [
        Command(page.relative_to(ROOT).as_posix(), words)
        for page in PAGES
        for block in (*_shell_blocks(page), *_inline(page))
        for words in _commands_of(block)
        if words[0] in programs
    ]


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _shell_blocks(page: Path) -> Iterator[str]:
    text = _text(page)
    for _, name, block in _FENCE.findall(text):
        if name in _SHELL:
            yield block
    prose = _FENCE.sub("", text)
    for block in re.findall(r"(?:^\n|\A)((?:^    .*\n|^\n)+)", prose, re.MULTILINE):
        yield "\n".join(line[4:] for line in block.splitlines())


def _inline(page: Path) -> Iterator[str]:
    """Yield inline code that starts as a command does."""
    prose = re.sub(r"^    .*$", "", _FENCE.sub("", _text(page)), flags=re.MULTILINE)
    for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose):
        if re.match(r"(fedrl-ray|make|python) [a-z]", code):
            yield " ".join(code.split())


def _commands_of(block: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of each command, with the variables that the block sets put in."""
    variables: dict[str, str] = {}
    for line in _logical_lines(block):
        try:
            words = shlex.split(Template(line).safe_substitute(variables), comments=True)
        except ValueError:  # prose or a diagram
            continue
        words = words[: words.index(">")] if ">" in words else words
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0], re.DOTALL):
            name, _, value = words.pop(0).partition("=")
            variables[name] = value
        for command in _parts(words):
            if command:
                yield command


def _logical_lines(block: str) -> list[str]:
    """Join lines that end in a backslash, or inside double quotes."""
    lines: list[str] = []
    for line in block.replace("\\\n", " ").splitlines():
        if lines and lines[-1].split("#")[0].count('"') % 2:
            lines[-1] += " " + line
        else:
            lines.append(line)
    return lines


def _parts(words: list[str]) -> Iterator[tuple[str, ...]]:
    """Split at `&&` and `;`. In `fedrl-ray status | stop JOB`, `|` separates alternatives."""
    for part in " ".join(map(shlex.quote, words)).replace("'&&'", "\0").split("\0"):
        split = [shlex.split(piece) for piece in part.split(" '|' ")]
        first, *others = split
        yield tuple(first)
        if first and first[0] == "fedrl-ray":
            yield from (("fedrl-ray", *other) for other in others)
