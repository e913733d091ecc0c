"""The formats of `export`: what is written, and how it is read back."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from algorithms.types import Spec

from ..agents.evaluation import Act


class Format(NamedTuple):
    """A format: its file in the folder (none: the folder itself), who writes it (module and
    function) and who reads it."""

    file: str
    writer: tuple[str, str]
    reader: str
    packages: tuple[str, ...]
    """Beside torch; their versions go into the model card."""

    def write(self, folder: Path, policy: Any, spec: Spec) -> None:
        """Raises UserError where a package is missing."""
        module, function = self.writer
        write: Callable[..., None] = getattr(
            importlib.import_module(f"{__package__}.{module}"), function
        )
        write(folder / self.file, policy, spec)

    def read(self, folder: Path, spec: Spec) -> Act:
        """The policy as anybody else would read it."""
        module = importlib.import_module(f"fedrl_ray.export.readers.{self.reader}")
        act: Act = module.read(folder / self.file, spec)
        return act


FORMATS = {
    "rllib": Format("", ("rl_module", "write"), "rl_module_policy", ("ray",)),
    "torch": Format("policy.pt2", ("programs", "write_torch"), "torch_policy", ()),
    "onnx": Format(
        "policy.onnx", ("programs", "write_onnx"), "onnx_policy", ("onnx", "onnxruntime")
    ),
}
