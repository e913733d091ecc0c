"""Random malformed input: other values, other bytes, small files that expand to large data."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st


class Raw(str):
    """Text that goes into a YAML file unquoted."""


NUMBERS = [-1, 0, 1, 2, 3, 1.5, -0.0, 1e-320, 10**12, 2**31, 2**63, 2**64, 10**18, 1e300, 10**400]
NAMES = [
    "cartpole", "pendulum", "frozen_lake", "fedrq", "fedrddpg", "mean", "asha", "pbt", "optuna",
    "ray", "in_process", "agents", "none", "continue", "linear", "../x", "../../etc/passwd",
    "/etc/passwd", "cartpole/../cartpole", ".cartpole", "__init__", "algorithms.learners.fedrq",
    "os", "", " ", "~", "a" * 3000, "x\ny", "x\x1b[31m", "<b>", "\u202ex", "\ufeffx", "日本",
    "CartPole-v1", "../x:CartPole-v1", ".x:Y-v0", ":", "os:getcwd", "json:loads", "../x:make",
    "no_such_module:make", "os.path:join", "x" * 300 + ":make",
]  # fmt: skip
FRAGMENTS = [
    "", "~", "true", "'1'", ".nan", ".inf", "-.inf", "1e400", "9" * 30, "9" * 5000,
    "0x" + "F" * 5000, "0b" + "1" * 20000, "0o17", "1_000", "1:30:00", "2001-01-01",
    "2001-01-01 99:99:99", "99999-13-41", "!!python/object/apply:os.system [touch executed]",
    "!!python/name:os.system", "!!python/module:os", "!!binary aGk=", "!!binary x", "!!set {a, b}",
    "!!omap [a: 1]", "!!pairs [a: 1]", "!!timestamp 2001-01-01", "!!int x", "!!float x",
    "!!bool x", "!!null x", "!!str 1", "!!map []", "!!seq {}", "!x y", "!<tag:a> b", "*missing",
    "&a [*a]", "&a {b: *a}", "&a", "[]", "{}", "[[[]]]", "[1, 2, 3]", "[~]", "{a: 1, a: 2}",
    "{1: 2}", "{? [a] : b}", "{? {a: b} : c}", "{<<: 3}", "{<<: [3]}", "{<<: {a: 1}}", "{[]: 1}",
    '"\\ud800"', '"\\0"', '"\\x1b[2J"', '"\\n\\n"', '"\\u2028"', "'", '"', "[", "]", "{", "}",
    "|", ">", "%", "@", "`", "- -", "? :", "---", "...", "--- a\n--- b", "# x", "{low: 1, high: 0}",
    "{low: .nan, high: 1}", "{start: 1, end: 0, steps: 0}", "{kind: power}", "{name: x}",
    "{name: [x]}", "{uniform: [0, 1]}", "{loguniform: [0, 1]}", "{randint: [0, 1e400]}",
    "{choice: []}", "{choice: [[1], [1]]}", "{uniform: [1, 1e308]}", "{uniform: [-1e308, 1e308]}",
]  # fmt: skip

_words = st.text(max_size=8)
_leaves: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(NAMES),
    _words,
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.none(),
    st.booleans(),
)


def _nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def extend(inner: Any) -> Any:
        return st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3)

    return st.recursive(leaves, extend, max_leaves=6)


plain_values = _nested(_leaves)
"""What JSON can say, and NaN."""
values = _nested(_leaves | st.sampled_from(FRAGMENTS).map(Raw))
"""What YAML can say, and what it cannot."""


def places(data: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Yield the path of every value inside."""
    items: Any = data.items() if isinstance(data, dict) else ()
    items = enumerate(data) if isinstance(data, list) else items
    found = [prefix] if prefix else []
    return found + [place for key, value in items for place in places(value, (*prefix, key))]


CHANGES = ["replace", "replace", "replace", "remove", "rename", "add", "copy", "wrap"]


@st.composite
def mutated(draw: st.DrawFn, base: Any, drawn: st.SearchStrategy[Any] = values) -> Any:
    """Return plain data with one to three changes.

    A change replaces a value, adds a level, or removes, renames, adds or copies a key.
    """
    data = copied(base)
    for _ in range(draw(st.integers(1, 3))):
        here = places(data)
        if not here:
            break
        *way, last = draw(st.sampled_from(here))
        parent = at(data, way)
        change = draw(st.sampled_from(CHANGES))
        if change == "replace":
            parent[last] = draw(drawn)
        elif change == "remove":
            del parent[last]
        elif change == "rename" and isinstance(parent, dict):
            name = draw(st.sampled_from([*NAMES, f"{last}x"]) | _words)
            parent[name] = parent.pop(last)
        elif change == "add" and isinstance(parent, dict):
            parent[draw(st.sampled_from(NAMES) | _words)] = draw(drawn)
        elif change == "copy":
            parent[last] = copied(at(data, draw(st.sampled_from(here))))
        elif change == "wrap":
            parent[last] = [parent[last]]
    return data


def at(data: Any, way: Any) -> Any:
    for part in way:
        data = data[part]
    return data


def copied(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: copied(value) for key, value in data.items()}
    return [copied(value) for value in data] if isinstance(data, list) else data


def to_yaml(data: Any) -> str:
    """Return YAML in flow style, with every `Raw` unquoted."""
    if isinstance(data, Raw):
        return str(data)
    if isinstance(data, dict):
        return "{" + ", ".join(f"{to_yaml(k)}: {to_yaml(v)}" for k, v in data.items()) + "}"
    if isinstance(data, list):
        return "[" + ", ".join(map(to_yaml, data)) + "]"
    if isinstance(data, str):
        return "'" + data.replace("'", "''") + "'"
    if isinstance(data, float):
        return {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(str(data), str(data))
    return "null" if data is None else str(data).lower()


def sections(data: dict[str, Any]) -> str:
    """Return one line per section, so that a change that is no YAML leaves earlier lines alone."""
    return "".join(f"{to_yaml(key)}: {to_yaml(value)}\n" for key, value in data.items())


MARKS = [b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\t", b":", b"[", b"}", b"&a ", b"*a", b"\n", b"-"]


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Return bytes with one to four changes: flipped, cut, doubled or inserted."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(0, len(content) - 1)))
        stop = min(len(content), start + draw(st.integers(1, 40)))
        change = draw(st.sampled_from(["flip", "cut", "double", "insert", "truncate", "character"]))
        before, piece, after = content[:start], content[start:stop], content[stop:]
        if change == "flip" and piece:
            piece = bytes([piece[0] ^ 1 << draw(st.integers(0, 7))]) + piece[1:]
        elif change == "cut":
            piece = b""
        elif change == "double":
            piece += piece
        elif change == "insert":
            piece = draw(st.binary(max_size=20)) + piece
        elif change == "truncate":
            after = b""
        elif change == "character":
            piece = draw(st.sampled_from(MARKS)) + piece
        content = before + piece + after
    return content


def laughs(levels: int, width: int, *, merge: bool = False) -> str:
    """Return a file of a few lines that expands to width ** levels values."""
    lines = ["x0: &x0 {k: 1}" if merge else "x0: &x0 [a]"]
    for level in range(1, levels):
        aliases = ", ".join([f"*x{level - 1}"] * width)
        content = f"{{<<: [{aliases}]}}" if merge else f"[{aliases}]"
        lines.append(f"x{level}: &x{level} {content}")
    return "\n".join(lines)
