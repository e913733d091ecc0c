"""A policy as a program of torch.export, and as an ONNX file made from the program."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.fx import GraphModule

from algorithms.types import Spec

from ..common.errors import UserError
from ..vector_envs.actions import ActionEncoding
from .decoded import DecodedPolicy
from .readers.actions import blank_observations
from .readers.quiet import quiet

OPSET = 18
"""ONNX operator set in which torch's exporter is written; old runtimes support it too."""


def write_torch(path: Path, policy: nn.Module, spec: Spec, actions: ActionEncoding) -> None:
    """Write a program from obs [batch, S] float32 (tabular: [batch] int64) to actions."""
    buffer = io.BytesIO()  # torch's own writer ends this process if the disk is full
    with quiet():
        torch.export.save(_program(DecodedPolicy(policy, actions), spec), buffer)
    path.write_bytes(buffer.getvalue())


def write_onnx(path: Path, policy: nn.Module, spec: Spec, actions: ActionEncoding) -> None:
    """Write a graph with input `obs`, output `action` and a dynamic batch axis.

    Raises UserError: a package of the extra `export` is missing.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise UserError("--to onnx needs more packages: pip install 'fedrl-ray[export]'") from None
    with quiet():
        program: Any = torch.onnx.export(
            _program(DecodedPolicy(policy, actions), spec),
            dynamic_shapes=({0: "batch"},),
            input_names=["obs"],
            output_names=["action"],
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
        program.save(path, external_data=False)


def _program(policy: nn.Module, spec: Spec) -> ExportedProgram:
    example = torch.from_numpy(blank_observations(spec, 2))
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(policy.eval(), (example,), dynamic_shapes=shapes)
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, GraphModule) else ():
            node.meta.pop("stack_trace", None)  # holds paths of this machine
    return program
