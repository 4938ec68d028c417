"""The first look at a file: what format it has, how its cells are delimited, what its columns are called."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter as Tally
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path

from msgspec.structs import replace

from hotfire.errors import UserError
from hotfire.source.formats.reading import Reading, Wanted

HEAD = 65_536
"""How many first bytes the look is taken at, decompressed."""

_BOM = b"\xef\xbb\xbf"
_SAMPLE = 100
_SUFFIXES = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv",
    ".parquet": "parquet", ".pq": "parquet", ".parq": "parquet",
}  # fmt: skip
_DELIMITERS = {"csv": (";", "\t", ",", " "), "tsv": ("\t",), "whitespace": (" ",)}
_NUMBER = re.compile(r"\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*|\s*[+-]?(nan|inf)\s*|\s*", re.IGNORECASE)
_COMMA = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*")
_POINT = re.compile(r"\s*[+-]?\d*\.\d+([eE][+-]?\d+)?\s*")


def sniff(path: Path, head: bytes, compression: str, wanted: Wanted) -> Reading:
    """How the file is to be read, from its name, its first bytes (decompressed) and what a person has set.

    Raises:
        UserError: it cannot be read as what it seems to be: UTF-16, a header without the needed columns.
    """
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UserError(f"{path} is UTF-16.", "Save it as UTF-8.")
    start = len(_BOM) if head.startswith(_BOM) else 0
    form = wanted.format or _format(path, head[start:])
    if head.startswith(b"PAR1") and form != "parquet":
        raise UserError(f"{path} is Parquet, and the setting `format` says {form}.", "Take the setting away.")
    reading = Reading(
        "table" if form in _DELIMITERS else form,
        compression,
        start=start,
        constants=_constants(path, wanted),
        clock=wanted.clock,
        derive=wanted.derive,
    )
    return _table(path, head[start:], form, reading, wanted) if reading.format == "table" else reading


def check_columns(path: Path, columns: Sequence[str], reading: Reading, needs: Collection[str]) -> None:
    """Raise UserError where a column is there twice, or one is missing without which every record would fail."""
    twice = [name for name, times in Tally(columns).items() if times > 1]
    if twice:
        raise UserError(f"{path} has two columns named {twice[0]!r}.", "Rename one, or set `columns`.")
    made = {*reading.constants, *reading.derive, *([reading.clock.field] if reading.clock else [])}
    wanted = {*needs} - made | ({reading.clock.column} if reading.clock else set()) - {*reading.constants}
    for name in sorted(wanted - {*columns}):
        close = get_close_matches(name, columns, 1, 0.6)
        lower = {column.lower(): column for column in columns}
        near = lower.get(name.lower()) or (close[0] if close else None)
        hint = f"Did you mean {near!r}? " if near else ""
        listed = ", ".join(columns[:12]) + (" ..." if len(columns) > 12 else "")
        raise UserError(
            f"{path} has no column {name!r}.",
            f"{hint}It has: {listed}. Rename it, or set `columns` or the contract's path.",
        )


def _format(path: Path, head: bytes) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in (".gz", ".zst", ".zstd")]
    form = _SUFFIXES.get(suffixes[-1] if suffixes else "")
    if head.startswith(b"PAR1"):
        return "parquet"
    text = head.lstrip()
    if form in (None, "json") and text.startswith((b"{", b"[")):
        line = text.partition(b"\n")[0].rstrip()
        return "jsonl" if line.startswith(b"{") and line.endswith(b"}") else "json"
    return form or "csv"


def _constants(path: Path, wanted: Wanted) -> dict[str, str]:
    if wanted.name_pattern is None:
        return {}
    match = re.search(wanted.name_pattern, path.name)
    if match is None:
        raise UserError(
            f"{path}: the name does not match `name_pattern` {wanted.name_pattern!r}.",
            "Rename the file or change the pattern.",
        )
    return {name: text for name, text in match.groupdict().items() if text is not None}


def _table(path: Path, head: bytes, form: str, reading: Reading, wanted: Wanted) -> Reading:
    lines = _lines(path, head)
    texts = [text for text in (line.decode(errors="replace").strip("\r\n") for line in lines) if text.strip()]
    if not texts:
        return reading
    delimiter = wanted.delimiter or _delimiter(texts[:_SAMPLE], _DELIMITERS[form])
    rows = [_split(text, delimiter) for text in texts[:_SAMPLE]]
    names, header = _names(rows[0], wanted.columns)
    body = rows[1:] if header else rows
    if wanted.columns and body and all(len(row) != len(names) for row in body):
        raise UserError(
            f"{path} has {len(body[0])} columns, the settings name {len(names)}.", "Correct `columns` or `delimiter`."
        )
    reading = replace(reading, delimiter=delimiter, columns=names, decimal=wanted.decimal or _decimal(body, delimiter))
    check_columns(path, names, reading, wanted.needs)
    return _behind_header(lines, reading) if header else reading


def _lines(path: Path, head: bytes) -> list[bytes]:
    """The lines of the head; a last one that the head cuts off is left out."""
    if b"\n" not in head and b"\r" in head.strip():
        raise UserError(f"{path} ends its lines with CR alone.", "Save it with LF or CRLF line ends.")
    lines = io.BytesIO(head).readlines()
    if len(head) + len(_BOM) < HEAD:
        return lines
    if len(lines) < 2:
        raise UserError(
            f"{path} has no line end in its first {HEAD} bytes.", "Set `format` and `columns` if it is a table."
        )
    return lines[:-1]


def _behind_header(lines: Sequence[bytes], reading: Reading) -> Reading:
    at = next(at for at, line in enumerate(lines) if line.strip())
    return replace(reading, start=reading.start + sum(map(len, lines[: at + 1])), start_line=at + 2)


def _split(text: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return [word for word in text.replace("\t", " ").replace("\r", "").split(" ") if word]
    return next(csv.reader([text.replace("\r", " ")], delimiter=delimiter), [])


def _delimiter(texts: Sequence[str], choices: Sequence[str]) -> str:
    """The first choice that takes most lines apart into as many cells as the first line."""
    for delimiter in choices:
        width = len(_split(texts[0], delimiter))
        alike = sum(len(_split(text, delimiter)) == width for text in texts)
        if width > 1 and alike > len(texts) / 2:
            return delimiter
    return choices[0] if len(choices) == 1 else ","


def _names(first: Sequence[str], columns: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
    """The columns' names, and whether the first line is a header."""
    found = tuple(name.strip() for name in first)
    if columns:
        return columns, found == columns
    header = not all(_NUMBER.fullmatch(name) for name in found)
    return tuple(name if header and name else f"column_{at}" for at, name in enumerate(found, 1)), header


def _decimal(rows: Sequence[Sequence[str]], delimiter: str) -> str:
    if delimiter not in (";", "\t"):
        return "."
    cells = [cell for row in rows for cell in row]
    comma = any(_COMMA.fullmatch(cell) for cell in cells)
    return "," if comma and not any(_POINT.fullmatch(cell) for cell in cells) else "."
