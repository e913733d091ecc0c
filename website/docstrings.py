"""An extension of griffe that gives each argument that a docstring explains a line of its own."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ARGUMENTS = re.compile(r"^(?=\w+(?:, \w+)*: )", re.MULTILINE)


class ArgumentLines(griffe.Extension):
    """Begin a paragraph at every line `name: text`; Markdown would join it with its neighbours."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of a module, class, function or attribute."""
        if obj.docstring:
            summary, blank, rest = obj.docstring.value.partition("\n\n")
            obj.docstring.value = summary + blank + _ARGUMENTS.sub("\n", rest)
