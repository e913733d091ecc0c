"""Malformed run and sweep directories, the second part of test_malformed.py."""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from algorithms import prefixes
from fedrl_ray.storage import digests, manifests
from tests.support.malformed import damaged, mutated, plain_values, sections
from tests.support.malformed_place import (  # fmt: skip
    SHARES,
    Place,
    case,
    exported,
    newest,
    opened,
    policy_scored,
    reported,
    resumed,
    run_examples,
    scored,
    shown,
    swept,
)

CASES: dict[str, Any] = {}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("malformed")) as place:
        yield place


CHECKPOINT = ["manifest.json", "server.safetensors", "agents_00000-00001.safetensors"]


@case(
    CASES,
    150,
    command=st.sampled_from([resumed, scored]),
    name=st.sampled_from(CHECKPOINT),
    data=st.data(),
)
def checkpoints_with_other_bytes(place: Place, command, name, data):
    """The sha256 of the manifest shows every change: only the bytes that we wrote are accepted."""
    path = newest(place.fresh()) / name
    good = path.read_bytes()
    foreign = [b"", b"\x80\x05.", b"\xff" * 8 + b"{}", (path.parent / CHECKPOINT[1]).read_bytes()]
    drawn = damaged(good) | st.sampled_from(foreign) | st.binary(max_size=30)
    content = data.draw(drawn, label="content")
    path.write_bytes(content)
    same = content == good or (name == "manifest.json" and _read_alike(good, content))
    assert place.check(command(place)) == same


def _read_alike(good: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(good) == json.loads(other))
    except ValueError:
        return False


def sign(path: Path, body: Any) -> None:
    """Write a manifest with the right sha256 of itself."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    document = {"format": manifests.FORMAT, "sha256": digests.of_texts([text]), "manifest": body}
    (path / "manifest.json").write_text(json.dumps(document))


@case(CASES, 150, command=st.sampled_from([resumed, scored]), data=st.data())
def manifests_that_are_signed(place: Place, command, data):
    """A manifest with the right sha256 is checked too."""
    path = newest(place.fresh())
    good = json.loads((path / "manifest.json").read_text())["manifest"]
    body = data.draw(mutated(good, plain_values), label="manifest")
    sign(path, body)
    place.check(command(place))


@case(
    CASES,
    150,
    command=st.sampled_from([resumed, scored]),
    name=st.sampled_from(CHECKPOINT[1:]),
    data=st.data(),
)
def arrays_that_are_signed(place: Place, command, name, data):
    path = newest(place.fresh())
    arrays = load_file(path / name)
    for _ in range(data.draw(st.integers(1, 3))):
        data.draw(changed_arrays(arrays))
    save_file(arrays, path / name)
    if data.draw(st.booleans()):
        data.draw(changed_header(path / name))
    resign(path)
    place.check(command(place))


def resign(path: Path) -> None:
    body = json.loads((path / "manifest.json").read_text())["manifest"]
    body["server_sha256"] = digests.of_file(path / CHECKPOINT[1])
    with contextlib.suppress(SafetensorError):
        shared = prefixes.select(load_file(path / CHECKPOINT[1]), "shared")
        body["digest"] = digests.of_arrays(shared)
    body["shards"][0]["sha256"] = digests.of_file(path / CHECKPOINT[2])
    body["shards"][0]["bytes"] = (path / CHECKPOINT[2]).stat().st_size
    sign(path, body)


@st.composite
def changed_arrays(draw: st.DrawFn, arrays: dict[str, Any]) -> None:
    if not arrays:
        return
    name = draw(st.sampled_from(sorted(arrays)))
    array = arrays[name]
    change = draw(
        st.sampled_from(["drop", "rename", "type", "shape", "fill", "add", "grow", "empty"])
    )
    if change == "drop":
        del arrays[name]
    elif change == "rename":
        arrays[
            draw(st.sampled_from(["x/y", "0/learner/x", "-1/x", "9/x", "shared/x", "é/x", ""]))
        ] = arrays.pop(name)
    elif change == "type":
        arrays[name] = array.astype(draw(st.sampled_from(["f8", "f2", "i8", "u1", "?"])))
    elif change == "shape":
        arrays[name] = array.reshape(
            draw(st.sampled_from([(-1,), (1, *array.shape), (*array.shape, 1)]))
        )
    elif change == "fill":
        value = draw(st.sampled_from([np.nan, np.inf, -1, 2**31, 1e300]))
        with np.errstate(all="ignore"):
            arrays[name] = np.full(array.shape, np.array(value).astype(array.dtype))
    elif change == "add":
        arrays[draw(st.text(max_size=4)) + "/x"] = np.zeros(3)
    elif change == "grow":
        arrays[name] = np.concatenate([np.atleast_1d(array)] * 2)
    elif change == "empty":
        arrays[name] = array.reshape(-1)[:0]


@st.composite
def changed_header(draw: st.DrawFn, path: Path) -> None:
    """Change a safetensors file: eight bytes with a length, that much JSON, then the arrays."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header, rest = content[8 : 8 + length], content[8 + length :]
    change = draw(st.sampled_from(["length", "json", "bytes", "rest"]))
    if change == "length":
        length = draw(st.sampled_from([0, 1, length - 1, length + 1, 2**31, 2**63, 2**64 - 1]))
    elif change == "json":
        header = json.dumps(draw(mutated(json.loads(header), plain_values))).encode(
            errors="replace"
        )
        length = len(header)
    elif change == "bytes":
        header = draw(damaged(header))
        length = len(header)
    elif change == "rest":
        rest = draw(damaged(rest))
    path.write_bytes(struct.pack("<Q", length) + header + rest)


@st.composite
def changed_file(draw: st.DrawFn, path: Path) -> None:
    """Change a text file: its bytes, or the values of the file or of one line."""
    good = path.read_bytes() if path.exists() else b'{"round": 1, "steps": 10}\n'
    if draw(st.integers(0, 3)) == 0:
        path.write_bytes(draw(damaged(good) | st.binary(max_size=30)))
    elif path.suffix == ".yaml":
        path.write_text(sections(draw(mutated(yaml.safe_load(good)))), errors="surrogatepass")
    elif path.suffix == ".json":
        path.write_text(json.dumps(draw(mutated(json.loads(good), plain_values))))
    else:
        lines = good.splitlines()
        number = draw(st.integers(0, len(lines) - 1))
        lines[number] = json.dumps(draw(mutated(json.loads(lines[number]), plain_values))).encode()
        path.write_bytes(b"".join(line + b"\n" for line in lines))


RUN_FILES = ["config.yaml", "metrics.jsonl", "evaluations.jsonl", "summary.json", "lineage.jsonl"]


@case(
    CASES,
    200,
    command=st.sampled_from([resumed, scored]),
    name=st.sampled_from(RUN_FILES),
    data=st.data(),
)
def files_of_a_run(place: Place, command, name, data):
    data.draw(changed_file(place.fresh() / name))
    place.check(command(place))


@case(
    CASES,
    40,
    command=st.sampled_from([reported, shown]),
    name=st.sampled_from(RUN_FILES),
    data=st.data(),
)
def files_of_a_run_that_is_shown(place: Place, command, name, data):
    data.draw(changed_file(place.fresh() / name))
    place.check(command(place))


@case(
    CASES,
    60,
    command=st.sampled_from([reported, shown, swept]),
    name=st.sampled_from(["trials.json", "sweep.yaml"]),
    data=st.data(),
)
def files_of_a_sweep(place: Place, command, name, data):
    data.draw(changed_file(place.fresh("sweep") / name))
    place.check(command(place))


@case(CASES, 100, name=st.sampled_from(["config.yaml", "evaluations.jsonl"]), data=st.data())
def files_of_a_run_that_is_exported(place: Place, name, data):
    data.draw(changed_file(place.fresh() / name))
    place.check(exported(place))


@case(CASES, 150, data=st.data())
def policies_with_other_bytes(place: Place, data):
    good = place.good_policy.read_bytes()
    content = data.draw(damaged(good) | st.binary(max_size=30), label="content")
    place.check(policy_scored(place, content))


@case(CASES, 150, data=st.data())
def policies_with_other_parts(place: Place, data):
    """The Protobuf can be read, but its parts do not fit together."""
    model = onnx.load(place.good_policy)
    for _ in range(data.draw(st.integers(1, 3))):
        data.draw(changed_model(model))
    place.check(policy_scored(place, model.SerializeToString()))


@st.composite
def changed_model(draw: st.DrawFn, model: Any) -> None:
    graph, number = model.graph, draw(st.sampled_from([-1, 0, 1, 2, 4, 18, 2**31, 2**40, 2**62]))
    node, ends = draw(st.sampled_from(graph.node)), [*graph.input, *graph.output]
    shape = draw(st.sampled_from(ends)).type.tensor_type.shape
    change = draw(st.sampled_from(["size", "operator", "wire", "type", "shape", "version", "axis"]))
    if change == "size":
        graph.initializer[0].dims[draw(st.integers(0, 1))] = number
    elif change == "operator":
        node.op_type = draw(st.sampled_from(["Gemm", "Loop", "Expand", "Tile", "Relu", "Foo", ""]))
    elif change == "wire":
        node.input[0] = draw(st.sampled_from(["weight", "scores", "action", "obs", ""]))
    elif change == "type":
        graph.initializer[0].data_type = draw(st.integers(0, 25))
    elif change == "shape" and shape.dim:
        shape.dim[0].dim_value = number
    elif change == "version":
        model.opset_import[0].version = number
    elif change == "axis":
        for attribute in node.attribute:
            attribute.i = number


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", CASES)
def test_malformed_input_is_refused_in_one_line_or_accepted_rightly(place, name, share):
    count, body, drawn = CASES[name]
    run_examples(round(count * share), body, place, **drawn)
