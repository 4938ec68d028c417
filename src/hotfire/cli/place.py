"""How a place is shown: short, and as it can be typed."""

from __future__ import annotations

from pathlib import Path

from hotfire.cli.output import named_workspace


def shown_place(label: str) -> str:
    """A place as short as it can be typed: from the working folder, or from the workspace that `--workspace` named."""
    path = Path(label)
    if not path.is_absolute():
        return label
    named = named_workspace()
    for folder in (Path.cwd(), *([named.absolute()] if named else [])):
        if path.is_relative_to(folder):
            return str(path.relative_to(folder))
    return label
