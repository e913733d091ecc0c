"""cluster/: the launcher's YAMLs, the image, the SLURM script and every command written there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from botocore.session import get_session
from botocore.validate import ParamValidator
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import cli as ray_cli
from typer.main import get_command

from fedrl_ray.cli.main import app

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
LAUNCHERS = ["launcher-local.yaml", "launcher-aws.yaml"]
TEXTS = [path for path in sorted(CLUSTER.iterdir()) if path.suffix != ".json"]
TOKEN = "RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=~/.ray/auth_token "


def launcher(name: str) -> dict[str, Any]:
    return yaml.safe_load((CLUSTER / name).read_text())


def tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Return a linter that a development install puts beside Python."""
    command = [str(Path(sys.executable).parent / name), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", LAUNCHERS)
def test_launcher_files_are_what_ray_up_takes(name):
    validate_config(prepare_config(launcher(name)))


def test_a_launcher_file_with_an_unknown_key_is_refused():
    with pytest.raises(jsonschema.ValidationError, match="worker_nods"):
        validate_config(prepare_config(launcher(LAUNCHERS[1]) | {"worker_nods": 2}))


def test_the_machines_asked_of_aws_are_what_its_api_takes():
    model = get_session().get_service_model("ec2").operation_model("RunInstances").input_shape
    for kind in launcher("launcher-aws.yaml")["available_node_types"].values():
        wanted = kind["node_config"] | {"MinCount": 1, "MaxCount": 1}
        assert not ParamValidator().validate(wanted, model).has_errors()
        assert ParamValidator().validate(wanted | {"ImageID": "x"}, model).has_errors()


@pytest.mark.parametrize("name", LAUNCHERS)
@pytest.mark.parametrize("role", ["head", "worker"])
def test_every_node_starts_with_the_token_and_options_that_ray_has(name, role):
    text = launcher(name)[f"{role}_start_ray_commands"][-1]
    assert TOKEN in text
    words = shlex.split(text.split(TOKEN)[1])
    options = parse(ray_cli, words[words.index("start") :])
    assert (options["head"], options["metrics_export_port"]) == (role == "head", 8080)
    if role == "head":
        assert options["dashboard_host"] == "127.0.0.1"


@pytest.mark.parametrize("name", LAUNCHERS)
def test_launchers_copy_the_token_and_what_the_repository_has(name):
    mounts = launcher(name)["file_mounts"]
    assert mounts.pop("~/.ray/auth_token") == "~/.ray/auth_token"
    assert mounts.pop("~/fedrl-ray/dist") == "./dist"  # made by the command in the file's head
    assert all((ROOT / source).exists() for source in mounts.values())
    assert "chmod 600 ~/.ray/auth_token" in launcher(name)["setup_commands"]


def test_the_dockerfile_passes_hadolint():
    result = tool("hadolint", "cluster/Dockerfile")
    assert (result.returncode, result.stdout) == (0, "")


def test_the_image_has_a_pinned_base_our_files_and_extras_that_exist():
    text = (CLUSTER / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.\d+\.\d+-slim-\w+$", text, re.MULTILINE)
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["1000:1000"]
    let_in = (ROOT / ".dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(?:--\S+ )?(.*) \S+$", text, re.MULTILINE):
        for source in line.split():
            assert (ROOT / source).exists() and f"!{source}" in let_in, source
    (extras,) = re.findall(r"^ARG EXTRAS=(.*)$", text, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])


def test_the_slurm_script_passes_shellcheck():
    result = tool("shellcheck", "cluster/slurm.sh")
    assert (result.returncode, result.stdout) == (0, "")


def parse(group: Any, words: list[str]) -> dict[str, Any]:
    """Return the parameters of a command line, parsed by the command itself."""
    return group.commands[words[0]].make_context(words[0], list(words[1:])).params


WRITTEN = re.compile(
    r"(?:^\s*|[`$;&] *|fedrl-ray:\w+ +|sbatch .*)(?:fedrl-ray|cluster/slurm\.sh) (.*)"
)


def commands(path: Path) -> list[list[str]]:
    """Return the arguments after `fedrl-ray` or `sbatch ... cluster/slurm.sh` in a file."""
    text = path.read_text()
    if path.suffix == ".yaml":
        text = "\n".join(strings(yaml.safe_load(text))) + "\n" + "\n".join(comments(text))
    found = map(WRITTEN.search, re.sub(r"\\\n\s*", " ", text).splitlines())
    lines = [match[1].split("`")[0] for match in found if match and '"$@"' not in match[1]]
    split = [shlex.split(line, comments=True) for line in lines]
    return [words for words in split if len(words) > 1]


def strings(data: Any) -> list[str]:
    if isinstance(data, str):
        return [data]
    if not isinstance(data, (dict, list)):
        return []
    values = data.values() if isinstance(data, dict) else data
    return [text for value in values for text in strings(value)]


def comments(text: str) -> list[str]:
    return [line.strip(" #") for line in text.splitlines() if line.lstrip().startswith("#")]


COMMANDS = [(path.name, words) for path in TEXTS for words in commands(path)]


@pytest.mark.parametrize(
    ("name", "words"), COMMANDS, ids=[f"{name}: {' '.join(words)}" for name, words in COMMANDS]
)
def test_commands_written_in_cluster_parse_with_the_command_line_itself(name, words):
    parse(get_command(app), words)


def test_a_command_with_an_option_that_does_not_exist_is_refused():
    with pytest.raises(Exception, match="No such option: --outptu"):
        parse(get_command(app), ["train", "x.yaml", "--outptu", "here"])


def test_presets_named_in_cluster_exist():
    named = {
        p for path in TEXTS for p in re.findall(r"tune_configs/[\w-]+\.yaml", path.read_text())
    }
    assert named and all((ROOT / preset).exists() for preset in named)
