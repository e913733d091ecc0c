"""The command line's own kind of application and command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand

from ..common.exits import exits_as_errors

F = TypeVar("F", bound=Callable[..., Any])


class Command(TyperCommand):
    """A command that the user's code cannot end."""

    def invoke(self, ctx: typer.Context) -> Any:
        """Run the command's function."""
        with exits_as_errors():
            return super().invoke(ctx)


class Application(typer.Typer):
    """A Typer whose commands are `Command`s."""

    def command(
        self, name: str | None = None, *, cls: type[TyperCommand] | None = None, **settings: Any
    ) -> Callable[[F], F]:
        """Return a decorator that adds a function as a command."""
        return super().command(name, cls=cls or Command, **settings)
