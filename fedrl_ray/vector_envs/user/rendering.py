"""A user's environment that draws itself, for a recorder of videos."""

from __future__ import annotations

from typing import Any

from ...common.errors import UserError
from ..rendering import RGB, DrawnEnv
from .adapter import UserEnv
from .source import Source, arguments


def render_arguments(source: Source) -> dict[str, Any]:
    """Return the arguments that ask a constructor for pictures; none if it takes no such."""
    known = arguments(source)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in known.values())
    return {"render_mode": RGB} if takes_any or "render_mode" in known else {}


def drawn(env: UserEnv, source: Source) -> DrawnEnv:
    """Return the environment for a recorder. Raises UserError: its render mode is another one."""
    mode = env.env.render_mode
    if mode != RGB:
        env.close()
        raise UserError(
            f"{source.key}: needs the render mode {RGB} for a video; take an argument render_mode "
            f"and set self.render_mode to it; got {mode!r}"
        )
    return DrawnEnv(env, env.env.render, env.env.metadata)
