"""How a place is shown: short, and as it can be typed."""

from __future__ import annotations

from pathlib import Path


def shown_place(label: str) -> str:
    """A place as short as it can be typed from the working folder."""
    path, here = Path(label), Path.cwd()
    return str(path.relative_to(here)) if path.is_absolute() and path.is_relative_to(here) else label
