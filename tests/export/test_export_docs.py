"""The export commands of docs/rllib.md run as printed."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from pathlib import Path

from tests.support.malformed_place import fedrl

ROOT = Path(__file__).parents[2]


def commands() -> list[list[str]]:
    page = (ROOT / "docs" / "rllib.md").read_text(encoding="utf-8")
    section = page[page.index("## Export") :].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines]


def test_the_commands_of_the_page_run_as_printed(tmp_path):
    from stable_baselines3 import PPO

    (tmp_path / "tune_configs").symlink_to(ROOT / "tune_configs")
    PPO("MlpPolicy", "CartPole-v1", device="cpu").save(tmp_path / "model.zip")
    done = commands()
    assert [words[0] for words in done] == ["train", *["export"] * 3, *["evaluate"] * 4]
    with contextlib.chdir(tmp_path):
        ends = [fedrl(*words, *(["--json"] * (words[0] == "evaluate"))) for words in done]
    assert [ended.status for ended in ends] == [0] * 8, [ended.err for ended in ends]
    run, onnx, rllib, other = (json.loads(ended.out) for ended in ends[4:])
    assert run["dynamics"] == onnx["dynamics"] == rllib["dynamics"]
    assert len(other["returns"]) == 21
