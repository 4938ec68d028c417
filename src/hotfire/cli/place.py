"""Places: how a command takes them, and how one is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from hotfire.cli.output import named_workspace

Body = TypeVar("Body", bound=Callable[..., Any])


def from_places(what: str) -> Callable[[Body], Body]:
    """`--from PLACE...`, as `places`; those after the first word, as in `--from *.csv`, are `more`.

    Args:
        what: for `--help`.
    """

    def taking(body: Body) -> Body:
        named = click.option("--from", "places", multiple=True, type=click.Path(), metavar="PLACE...", help=what)
        return click.argument("more", metavar="[PLACE]...", nargs=-1, type=click.Path())(named(body))

    return taking


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
