"""What the pages tell a reader to type exists: commands, options, keys, files and imports."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import typer
from typer.exceptions import TyperException

from fedrl_ray.cli.catalogue import presets
from fedrl_ray.cli.main import app
from fedrl_ray.common.errors import UserError
from fedrl_ray.config import plugins
from fedrl_ray.config.loading import from_dict, load
from fedrl_ray.config.schema import EvaluationConfig, Experiment
from fedrl_ray.config.yaml_files import read_yaml
from tests.support.malformed_place import fedrl
from tests.support.pages import PAGES, ROOT, Command, commands, fenced
from tests.support.small import SMALL, merged

CLI: Any = typer.main.get_command(app)
OURS = commands("fedrl-ray")
NAMED = [c for c in OURS if len(c.words) == 2 and c.words[1] != "list"]
"""Commands that inline code names without their arguments: `fedrl-ray train`."""
COMPLETE = [c for c in OURS if c not in NAMED]
CHEAP = ("list", "describe")


def parsed(command: Command) -> dict[str, Any]:
    """Return the arguments of a command as the command line reads them.

    Raises what the command line does, and LookupError for a command that does not exist. Square
    brackets mark what may be left out.
    """
    words = [word if "=" in word else word.strip("[]") for word in command.words[1:]]
    arguments: dict[str, Any] = CLI.commands[words[0]].make_context(words[0], words[1:]).params
    return arguments


def test_the_pages_show_every_command() -> None:
    shown = {command.words[1] for command in OURS}
    assert shown == set(CLI.commands)
    assert len(COMPLETE) > 60


@pytest.mark.parametrize("command", COMPLETE, ids=str)
def test_a_command_and_its_options_exist(command: Command) -> None:
    parsed(command)


@pytest.mark.parametrize("words", ["train a.yaml --outptu b", "describe", "fetch a --follow"])
def test_a_wrong_option_is_found(words: str) -> None:
    with pytest.raises(TyperException):
        parsed(Command("page", ("fedrl-ray", *words.split())))


def test_overrides_of_a_preset_are_legal() -> None:
    checked = 0
    for arguments in map(parsed, COMPLETE):
        path = Path(str(arguments.get("config")))
        if path.stem in presets():
            load(presets()[path.stem], arguments["overrides"])
            checked += 1
    assert checked > 10


@pytest.mark.parametrize("command", [c for c in COMPLETE if c.words[1] in CHEAP], ids=str)
def test_a_cheap_command_runs(command: Command) -> None:
    words = command.words[1:]
    ended = fedrl(*(word.replace("NAME", "cartpole") for word in words))
    assert ended.status == 0 and len(ended.out.splitlines()) > 2 and not ended.err


@pytest.mark.parametrize("command", commands("make"), ids=str)
def test_a_target_of_make_exists(command: Command) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(command.words[1:]) <= set(targets)


@pytest.mark.parametrize("command", commands("python"), ids=str)
def test_a_program_and_its_options_exist(command: Command) -> None:
    beside = (ROOT / command.page).parent / command.words[1]  # examples start in their own folder
    program = beside if beside.is_file() else ROOT / command.words[1]
    together = "".join(path.read_text() for path in program.parent.glob("*.py"))
    assert program.is_file()
    options = [word for word in command.words if word.startswith("--")]
    assert [option for option in options if f'"{option}"' not in together] == []


def yaml_blocks() -> list[Any]:
    blocks = [(page, text) for page in PAGES for text in fenced(page, "yaml")]
    return [
        pytest.param(text, id=f"{page.name}-{text.splitlines()[0]}")
        for page, text in blocks
        if not text.startswith("# tune_configs/")  # tests/test_extending.py runs these
    ]


@pytest.mark.parametrize("text", yaml_blocks())
def test_a_yaml_block_is_an_experiment_or_a_part_of_one(text: str, tmp_path: Path) -> None:
    data = read(text, tmp_path)
    environment = data.get("environment") or {}
    if is_elsewhere(environment):
        keys = {key: value for key, value in environment.items() if key != "name"}
        plugins.load("environments", environment["name"]).Config(**keys)
        EvaluationConfig(**data.pop("evaluation", {}))
        del data["environment"]
    whole(data)


def read(text: str, folder: Path) -> dict[str, Any]:
    """Return the keys of a block, read as those of an experiment file are."""
    path = folder / "block.yaml"
    path.write_text(text, encoding="utf-8")
    return read_yaml(path)


def is_elsewhere(environment: dict[str, Any]) -> bool:
    """Return True for an environment that a reader would bring."""
    return (
        "factory" in environment or environment.get("id", "CartPole-v1") not in gymnasium.registry
    )


def whole(part: dict[str, Any]) -> Experiment:
    """Return the experiment, or a small one with this part and plugins that fit."""
    if {"learner", "environment"} <= set(part):
        return from_dict(part)
    named = {key for key, value in part.items() if isinstance(value, dict) and "name" in value}
    base = {section: value for section, value in SMALL.items() if section not in named}
    base = merged(base, {"evaluation": {"grid": 11}})
    continuous = {"name": "fedrddpg", "learning_starts": 10, "replay_capacity": 64}
    added = [{"learner": plugin} for plugin in (SMALL["learner"], continuous, {"name": "fedrq"})]
    if "learner" in named:
        added = [{"environment": plugin} for plugin in (SMALL["environment"], {"name": "pendulum"})]
    for missing in added:
        try:
            return from_dict(merged(base | missing, part))
        except UserError as error:
            if "learner.name:" not in str(error):
                raise
    raise AssertionError(f"no learner fits {part}")


@pytest.mark.parametrize(
    "text",
    ["learner: {name: fedrdqn, omgea: 0.1}", "federation: {num_agent: 3}", "evaluaton: {grid: 3}"],
)
def test_a_yaml_block_with_a_wrong_key_is_found(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown key"):
        whole(read(text, tmp_path))


@pytest.mark.parametrize(
    "text",
    [text for page in PAGES for text in fenced(page, "python")],
    ids=lambda text: text.splitlines()[0][:60],
)
def test_names_that_a_python_block_imports_exist(text: str) -> None:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            module = importlib.import_module(str(node.module))
            assert [name.name for name in node.names if not hasattr(module, name.name)] == []


def test_paths_of_the_source_that_pages_name_exist() -> None:
    missing = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for path in re.findall(
            r"`((?:algorithms|fedrl_ray|tests|benchmarks|cluster)/[\w./-]+)`", text
        ):
            if not (ROOT / path).exists():
                missing.append(f"{page.relative_to(ROOT)}: {path}")
    assert missing == []


def lists_read_differently(text: str) -> list[str]:
    """Return the list items that GitHub shows as such, and the documentation site does not.

    There a list needs a blank line after a paragraph, and four blanks of indentation in a list.
    """
    lines = re.sub(r"```.*?```", lambda m: "\n" * m[0].count("\n"), text, flags=re.DOTALL).split(
        "\n"
    )
    found = []
    for before, line in zip(["", *lines], lines, strict=False):
        item = re.match(r"( *)(?:[-*]|\d+\.) ", line)
        paragraph = re.match(r"(?![-*] |\d+\. |#)\S", before)
        if item and (len(item[1]) % 4 or (not item[1] and paragraph)):
            found.append(line)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lists_read_alike_on_github_and_on_the_site(page: Path) -> None:
    assert lists_read_differently(page.read_text(encoding="utf-8")) == []


def test_a_list_that_reads_differently_is_found() -> None:
    assert lists_read_differently(
        "Words:\n- one\n  - inner\n\n- two\n    - fine\n# A\n- three"
    ) == [
        "- one",
        "  - inner",
    ]


def test_the_experiments_of_other_packages_are_on_their_page() -> None:
    shown = fenced(ROOT / "docs" / "environments.md", "yaml")
    experiments = sorted((ROOT / "tests" / "third_party").glob("*.yaml"))
    assert len(experiments) == 4
    assert [path.name for path in experiments if path.read_text() not in shown] == []


def test_no_page_is_left_out() -> None:
    assert set(Path(ROOT / "docs").rglob("*.md")) < set(PAGES)
