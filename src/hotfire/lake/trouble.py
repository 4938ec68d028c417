"""What goes wrong with a lake's files, said to a person."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import polars as pl
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from hotfire.errors import LakeUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator

ANEW = "`hotfire doctor --repair` makes the table anew where the store has its rows; else restore it from a backup."
"""The way out where a table's files are lost or damaged."""

ADVICE: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("no space left", "os error 28", "quota exceeded"),
        "has no room left on its disk",
        "Free some space and start again; nothing was lost.",
    ),
    (
        ("read-only file system", "os error 30", "permission denied", "os error 13", "not permitted", "os error 1)"),
        "cannot be written",
        "Make the folder writable for this user and start again; nothing was lost.",
    ),
    (
        ("no such file", "not found", "os error 2)"),
        "is missing a file",
        f"`hotfire doctor` names the file. {ANEW}",
    ),
)
LONGEST = 400
"""Characters of a library's message that are shown."""

DAMAGED = f"`hotfire doctor` looks at every file of it. {ANEW}"


def explain(where: str, error: BaseException) -> LakeUnusable:
    """The error as a sentence about the table at `where`, with what to do."""
    text, found = _sentence(str(error)), str(error).lower()
    if isinstance(error, OSError) and error.errno is not None:
        found += f" (os error {error.errno})"
    if isinstance(error, CommitFailedError) and "concurrent" in found:
        return LakeUnusable(
            f"{where} is being written by another process: {text}",
            "Stop the other writer, or try again later; nothing was written twice.",
        )
    for signs, trouble, advice in ADVICE:
        if any(sign in found for sign in signs):
            return LakeUnusable(f"{where} {trouble}: {text}", advice)
    return LakeUnusable(f"{where} cannot be read as a table: {text}", DAMAGED)


def _sentence(text: str) -> str:
    """The first line of a library's message, without colours, source positions and back traces."""
    plain = re.sub(r"\x1b\[[0-9;]*m|\(set POLARS_VERBOSE=1 [^)]*\)", "", text)
    first = re.sub(r"\s*(↳|\n)\s*", ": ", re.split(r"\n\s*0: <unknown>", plain)[0]).strip()
    return first if len(first) <= LONGEST else f"{first[:LONGEST]} ..."


@contextmanager
def usable(where: str) -> Iterator[None]:
    """Raise LakeUnusable for whatever the libraries and the disk raise while the table at `where` is used."""
    try:
        yield
    except (DeltaError, TableNotFoundError, OSError, pl.exceptions.ComputeError) as error:
        raise explain(where, error) from error
