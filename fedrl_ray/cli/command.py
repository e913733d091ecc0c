"""The command line's own kinds of command."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand

from ..common.errors import RunError
from ..common.exits import exits_as_errors
from ..common.paths import home_for_tilde
from ..common.streams import LastingStream


class Command(TyperCommand):
    """A command whose results are alone on standard output, and which the user's code cannot end.

    Results that cannot be printed are a remark: they are in files, too.
    """

    only_prints: ClassVar[bool] = False
    """True: what cannot be printed is lost, so that the command has failed."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command's function; `~` in a path is the home directory."""
        from ..common.console import results_alone_on_stdout

        ctx.params = {name: _expanded(value) for name, value in ctx.params.items()}
        with results_alone_on_stdout() as results, exits_as_errors():
            try:
                value = super().invoke(ctx)
            except typer.Exit:
                self._require_printed(results)
                raise
            self._require_printed(results)
            return value

    def _require_printed(self, results: LastingStream) -> None:
        """Remark on a result that was lost, or raise RunError; a reader may leave a pipe early."""
        from ..common.console import notes

        results.flush()
        if results.loss is None or isinstance(results.loss, BrokenPipeError):
            return
        text = f"the result could not be printed on standard output: {results.loss}"
        if self.only_prints:
            raise RunError(text)
        notes.print(text, soft_wrap=True)


class PrintingCommand(Command):
    """A command that leaves nothing but what it prints."""

    only_prints = True


def _expanded(value: Any) -> Any:
    """Return a path, or a list of paths, with the home directory in place of `~`."""
    if isinstance(value, list | tuple):
        return type(value)(_expanded(one) for one in value)
    if not isinstance(value, Path):
        return value
    return home_for_tilde(value)
