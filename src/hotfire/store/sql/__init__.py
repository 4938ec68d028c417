"""Named queries: each block of a `.sql` file starts with `-- name: x` and a line that says what it answers."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")


@cache
def queries() -> dict[str, str]:
    """Every named query by its name."""
    found = {}
    for file in sorted(files(__name__).iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".sql"):
            for block in file.read_text().split("-- name: ")[1:]:
                name, _, body = block.partition("\n")
                found[name.strip()] = "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip()
    return found


@cache
def positional(name: str) -> tuple[str, tuple[str, ...]]:
    """A named query with `?` for its parameters, and the parameters' names in order of appearance."""
    text = queries()[name].removesuffix(";")
    return _PARAMETER.sub("?", text), tuple(_PARAMETER.findall(text))
