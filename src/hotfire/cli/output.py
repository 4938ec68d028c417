"""What a command answers, and how it is printed: text for people, or exactly one JSON document."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from msgspec import Struct


class Answer(Struct, frozen=True):
    """What a command has found out.

    Attributes:
        document: for `--json`: values that JSON has, or a function that gives them.
        lines: for people; made only when they are printed.
        exit_code: 0 fine, 1 a check did not hold, 2 the user's mistake, 3 an outage or a refused start; a function
            where it is known only when everything is printed.
        verbatim: the lines are data for another program: control characters are escaped only for a terminal.
    """

    document: Any
    lines: Iterable[str] = ()
    exit_code: int | Callable[[], int] = 0
    verbatim: bool = False


_LAYOUT = re.compile(r"(\x1b\[(?:[01]|3[0-7])m|[\n\t])")
FATES = ("stored", "duplicate", "superseded", "quarantined")


def say(answer: Answer, *, as_json: bool) -> int:
    """Print an answer on stdout; returns its exit code."""
    if as_json:
        document = answer.document() if callable(answer.document) else answer.document
        click.echo(json.dumps(document, default=str))
    else:
        raw = answer.verbatim and not terminal(sys.stdout)
        for line in answer.lines:
            click.echo(line if raw else _harmless(line), color=raw or _colours(sys.stdout))
    return answer.exit_code() if callable(answer.exit_code) else answer.exit_code


def complain(what: str, do: str, *, as_json: bool) -> None:
    """Print an error: as the one JSON document on stdout, or as sentences on stderr."""
    if as_json:
        click.echo(json.dumps({"error": what, "do": do}))
    else:
        shown = click.style("Error:", fg="red", bold=True)
        said = f"{shown} {what}" + (f"\n{do}" if do else "")
        click.echo(_harmless(said), err=True, color=_colours(sys.stderr))


def equation(counts: Mapping[str, int], whole: str = "received") -> str:
    """The conservation equation in one line: `received 10 = stored 8 + duplicate 1 + quarantined 1`."""
    always = {"stored"} if not counts[whole] else set(FATES) - {"superseded"}
    shown = [fate for fate in FATES if counts.get(fate) or (fate in counts and fate in always)]
    terms = [f"{fate} {counts[fate]:,}" for fate in shown]
    return f"{whole} {counts[whole]:,} = {' + '.join(terms)}"


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 row`, `12 rows`, `2 batches`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun}{'es' if noun.endswith(('ch', 's')) else 's'}"


def marks(counts: Mapping[str, int]) -> list[str]:
    """A line about stored rows that were corrected or late; none where there were none."""
    said = [f"{counts[mark]:,} {mark}" for mark in ("corrected", "late") if counts[mark]]
    return [f"  of the stored rows: {', '.join(said)}"] if said else []


def table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterable[str]:
    """Lines of a table: numbers to the right, everything else to the left."""
    rows = list(rows)
    cells = [["" if value is None else _cell(value) for value in row] for row in rows]
    right = [all(isinstance(row[at], int | float) or row[at] is None for row in rows) for at in range(len(names))]
    widths = [max(len(one[at]) for one in (names, *cells)) for at in range(len(names))]
    yield click.style(_row(names, widths, right), bold=True)
    yield _row(["-" * width for width in widths], widths, right)
    for row in cells:
        yield _row(row, widths, right)


def printable(text: str, most: int = 200) -> str:
    """A text on one line: control characters escaped, shortened to `most` characters."""
    return _escaped(text[:most]) + ("..." if len(text) > most else "")


def named_workspace() -> Path | None:
    """The folder that `--workspace` names; None for the one around the working folder."""
    context = click.get_current_context(silent=True)
    return context.find_root().params.get("workspace") if context else None


def hint(words: str) -> str:
    """A command to type next, for the workspace that this one was called for: `hotfire -C ws balance`."""
    folder = named_workspace()
    return f"hotfire {f'-C {shlex.quote(str(folder))} ' if folder else ''}{words}"


def terminal(stream: Any = None) -> bool:
    """Whether a person looks at the stream (stderr if None)."""
    return bool((stream or sys.stderr).isatty())


def _harmless(text: str) -> str:
    """The text without what would command a terminal: names and values may hold anything. Our own colours stay."""
    if text.isprintable():
        return text
    return "".join(part if at % 2 else _escaped(part) for at, part in enumerate(_LAYOUT.split(text)))


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _colours(stream: Any) -> bool:
    return terminal(stream) and not os.environ.get("NO_COLOR")


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.10g}" if isinstance(value, float) else printable(str(value), 80)


def _row(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    aligned = [
        cell.rjust(width) if numeric else cell.ljust(width)
        for cell, width, numeric in zip(cells, widths, right, strict=True)
    ]
    return "  ".join(aligned).rstrip()
