"""Policies that fedrl-ray did not write: ONNX graphs by hand, RLlib's and Stable-Baselines3's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

WEIGHT = np.array([[0.1, -0.2], [0.3, 0.1], [-1.0, 1.0], [-0.5, 0.5]], dtype=np.float32)
"""Of a linear policy for CartPole: pushes to where the pole leans."""
ENDS = ("batch", 4), ("batch",)


def onnx_file(
    path: Path,
    nodes: list[Any] | None = None,
    weight: Any = None,
    *,
    ends: Any = ENDS,
    kinds: tuple[int, int] = (TensorProto.FLOAT, TensorProto.INT64),
    inputs: tuple[str, ...] = ("obs",),
    outputs: tuple[str, ...] = ("action",),
) -> Path:
    """Return an ONNX graph of argmax(obs @ WEIGHT), or of other nodes and other ends."""
    weight = numpy_helper.from_array(WEIGHT, "weight") if weight is None else weight
    scores = helper.make_node("MatMul", ["obs", "weight"], ["scores"])
    best = helper.make_node("ArgMax", ["scores"], ["action"], axis=1, keepdims=0)
    graph = helper.make_graph(
        [scores, best] if nodes is None else nodes,
        "policy",
        [helper.make_tensor_value_info(name, kinds[0], ends[0]) for name in inputs],
        [helper.make_tensor_value_info(name, kinds[1], ends[1]) for name in outputs],
        [weight],
    )
    opset = [helper.make_opsetid("", 18)]
    path.write_bytes(
        helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()
    )
    return path


SCORES = [helper.make_node("MatMul", ["obs", "weight"], ["action"])]
"""Without an argmax: [batch, 2] float32."""


class Touches:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.path),))
