"""The model card as Markdown, with all text of users escaped."""

from __future__ import annotations

import re
from typing import Any

from ..common.errors import printable

_LOADING = {
    "onnx": """\
```python
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("policy.onnx")
obs = np.zeros(({shape}), np.{dtype})  # a batch of any size
action = session.run(["action"], {{"obs": obs}})[0]
```""",
    "torch": """\
```python
import torch

policy = torch.export.load("policy.pt2").module()
obs = torch.zeros(({shape}), dtype=torch.{dtype})  # a batch of any size
action = policy(obs)
```

`torch.export.load` may unpickle parts of a file, which runs code: load only files that you
trust.""",
    "rllib": """\
```python
import os

import torch
from ray.rllib.core.rl_module import RLModule

module = RLModule.from_checkpoint(os.path.abspath("."))  # needs fedrl-ray installed
obs = torch.zeros(({shape}), dtype=torch.{dtype})  # a batch of any size
output = module.forward_inference({{"obs": obs}})
action = output["actions_for_env"]
```

`output["actions"]` is for RLlib's connectors: continuous actions are in [-1, 1], as with
`normalize_actions`. Loading the folder unpickles, which runs code: load only folders that you
trust.""",
    "native rllib": """\
```python
import os

import torch
from ray.rllib.core.rl_module import RLModule
from ray.rllib.utils.spaces.space_utils import unsquash_action

module = RLModule.from_checkpoint(os.path.abspath("."))
obs = torch.zeros(({shape}), dtype=torch.{dtype})  # a batch of any size
with torch.no_grad():
    output = module.forward_inference({{"obs": obs}})
    action = output.get("actions")
    if action is None:
        distribution = module.get_inference_action_dist_cls()
        action = distribution.from_logits(output["action_dist_inputs"]).to_deterministic().sample()
action = unsquash_action(action.numpy(), module.action_space)  # continuous: to the bounds
```

This is the RLModule as RLlib trained it, including its critics. Loading the folder unpickles, which
runs code: load only folders that you trust.""",
}


def card_text(card: dict[str, Any]) -> str:
    """Return the README.md of an exported policy."""
    shape = ", ".join(["1", *map(str, card["environment"]["observation"]["shape"][1:])])
    dtype = card["environment"]["observation"]["dtype"]
    native = "native " if card["native"] and card["to"] == "rllib" else ""
    loading = _LOADING[native + card["to"]].format(
        shape=shape + ("," * (shape == "1")), dtype=dtype
    )
    return "\n\n".join(
        [
            f"# {escaped(card['name'])}",
            _summary(card),
            _table(("", ""), _facts(card)),
            "## Returns",
            _returns(card["returns"]),
            "## Load it",
            loading,
            "## Check",
            _checked(card["agreement"]),
            "[model_card.json](model_card.json) holds the same facts for programs.\n",
        ]
    )


def escaped(text: Any) -> str:
    """Return text in one line with markup, HTML and links escaped."""
    return re.sub(
        r"([\\`*_{}\[\]<>()|~!&#:@$]|(?<=www)\.)", r"\\\1", printable(str(text)), flags=re.I
    )


def _summary(card: dict[str, Any]) -> str:
    k = card["federation"]["num_agents"]
    return (
        f"The greedy policy of the learner {escaped(card['learner']['name'])}. Its parameters are "
        f"averaged over {k} local agents in environments of the family "
        f"{escaped(card['environment']['name'])}. fedrl-ray trained and exported it."
    )


def _facts(card: dict[str, Any]) -> list[tuple[str, Any]]:
    environment, federation = card["environment"], card["federation"]
    about = {k: v for k, v in environment.items() if k in ("id", "factory")}
    learner = {k: v for k, v in card["learner"].items() if k not in ("name", "interval_unit")}
    unit = card["learner"].get("interval_unit", "steps")
    return [
        *about.items(),
        ("observation", _end(environment["observation"])),
        ("action", _end(environment["action"])),
        ("time limit of an episode", f"{environment['max_episode_steps']} steps"),
        *((f"perturbed: {name}", _range(v)) for name, v in environment["perturb"].items()),
        *learner.items(),
        ("local agents K", federation["num_agents"]),
        ("sync interval E", f"{federation['sync_interval']} local {unit}"),
        ("local steps of each agent", f"{federation['steps']:,} of {federation['of_steps']:,}"),
        ("seed", card["seed"]),
        ("digest of all parameters", card["digest"]),
        ("trained with", _versions(card["trained_with"])),
        ("exported with", _versions(card["exported_with"])),
    ]


def _returns(returns: dict[str, Any] | None) -> str:
    if returns is None:
        return "The policy was not evaluated."
    where = {"driver": "environments of the test grid", "agents": "agents' own environments"}
    intro = (
        f"Undiscounted returns of {returns['episodes']} episodes in each of "
        f"{returns['environments']} {where[returns['where']]}. Brackets hold the "
        f"{returns['level']:.0%} interval ({returns['scope']})."
    )
    rows = [
        (name, _interval(returns[name]))
        for name in ("nominal", "average", "worst")
        if returns[name]["estimate"] is not None
    ]
    tested = [(f"tested: {name}", _range(v)) for name, v in (returns["perturb"] or {}).items()]
    table = _table(("", "return"), [*rows, *tested])
    return f"{intro}\n\n{table}\n\nThe policy was not tested in other environments."


def _checked(agreement: dict[str, Any]) -> str:
    text = (
        f"The export was read back and compared with the trained policy on "
        f"{agreement['observations']:,} observations: {agreement['equal']:,} equal actions"
    )
    if agreement["near_ties"]:
        text += f", {agreement['near_ties']:,} near-ties (two actions with almost equal values)"
    if agreement["largest_difference"]:
        text += (
            f". Actions differ by at most {agreement['largest_difference']:.1e} of half the action "
            "range"
        )
    return text + "."


def _table(head: tuple[str, str], rows: list[tuple[str, Any]]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    return "\n".join([*lines, *(f"| {escaped(name)} | {escaped(value)} |" for name, value in rows)])


def _end(end: dict[str, Any]) -> str:
    text = f"{end['dtype']} [{', '.join(map(str, end['shape']))}]"
    if "low" in end:
        return f"{text}, {end['low']} to {end['high']}"
    return f"{text}, 0 to {end['count'] - 1}" if "count" in end else text


def _range(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['low']} to {value['high']}"
    return f"{', '.join(map(str, value))}" if isinstance(value, list) else f"+-{value:.0%}"


def _interval(found: dict[str, Any]) -> str:
    text = f"{found['estimate']:.1f}"
    return text if found["low"] is None else f"{text} [{found['low']:.1f}, {found['high']:.1f}]"


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
