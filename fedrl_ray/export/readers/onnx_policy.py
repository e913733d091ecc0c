"""ONNX files as policies. A file is a graph of known operators, so reading it runs no code."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from algorithms.types import Array, Spec

from ...agents.evaluation import Act
from ...common.errors import UserError, one_line
from ...vector_envs.actions import ActionEncoding
from .actions import as_policy, require_size

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession, NodeArg

_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64}
_FATAL = 4
"""Log level of onnxruntime; lower levels only repeat its exceptions."""


def read(path: Path, spec: Spec, actions: ActionEncoding) -> Act:
    """Return the policy of a file. Raises UserError: it is no model, or does not fit the spec."""
    session = _session(path)
    given, wanted = _input(path, session, spec), _output(path, session)
    dtype, shape = _TYPES[given.type], [d for d in given.shape[1:] if isinstance(d, int)]

    def raw_act(obs: Array) -> Any:
        batch = obs.astype(dtype).reshape(len(obs), *shape)
        return session.run([wanted], {given.name: batch})[0]

    return as_policy(path, raw_act, spec, actions)


def _session(path: Path) -> InferenceSession:
    try:
        import onnx
        import onnxruntime
    except ImportError:
        raise UserError("ONNX files need more packages: pip install 'fedrl-ray[export]'") from None
    onnxruntime.set_default_logger_severity(_FATAL)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL
    try:
        content = path.read_bytes()
        _require_one_file(onnx.load_model_from_string(content))
        return onnxruntime.InferenceSession(
            content, sess_options=options, providers=["CPUExecutionProvider"]
        )
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except Exception as error:  # protobuf and onnxruntime have no common base class
        raise UserError(f"{path}: cannot be read as ONNX: {one_line(error)}") from None


def _require_one_file(model: ModelProto) -> None:
    """Raise UserError for weights in other files, because the model chooses their paths."""
    from onnx import TensorProto

    for part in _parts(model):
        if isinstance(part, TensorProto) and part.data_location == TensorProto.EXTERNAL:
            raise UserError("must hold its weights; save it with external_data=False")


def _parts(message: Any) -> Iterator[Any]:
    """Yield every message inside a protobuf message, at any depth."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if isinstance(value, Iterable) else [value]:
                yield inner
                yield from _parts(inner)


def _input(path: Path, session: InferenceSession, spec: Spec) -> NodeArg:
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise UserError(f"{path}: must have one input, the observation; got {_names(inputs)}")
    (one,) = inputs
    if one.type not in _TYPES:
        raise UserError(f"{path}: its input must be one of {', '.join(_TYPES)}; got {one.type}")
    if spec.kind == "tabular" and one.type != "tensor(int64)":
        raise UserError(f"{path}: its input must be tensor(int64), a state; got {one.type}")
    if not one.shape or isinstance(one.shape[0], int):
        raise UserError(f"{path}: the first axis of its input must be dynamic; got {one.shape}")
    if spec.kind != "tabular" and all(isinstance(d, int) for d in one.shape[1:]):
        require_size(path, math.prod(one.shape[1:]), spec)
    return one


def _output(path: Path, session: InferenceSession) -> str:
    """Return the name of the only output, or of the output called action(s)."""
    outputs = session.get_outputs()
    actions = [o for o in outputs if o.name in ("action", "actions")]
    chosen = outputs if len(outputs) == 1 else actions
    if len(chosen) != 1:
        raise UserError(f"{path}: must have one output called action; got {_names(outputs)}")
    return str(chosen[0].name)


def _names(ends: Iterable[NodeArg]) -> str:
    return ", ".join(end.name for end in ends) or "none"
