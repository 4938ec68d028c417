"""Simulated data into files: a table by its extension, and its labels as JSON beside it."""

from __future__ import annotations

import gzip
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal

import orjson
import zstandard

from hotfire.errors import UserError
from hotfire.simulate.engines import generate
from hotfire.simulate.model import Blocks, Request

SIMULATORS: Mapping[str, Callable[[Request], Blocks]] = {"engine_telemetry": generate}
"""What makes the data of a stream."""

_FORMS: Mapping[str, Literal["csv", "jsonl"]] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_COMPRESSIONS = (".gz", ".zst")


@dataclass(frozen=True, slots=True)
class Made:
    """What was written.

    Attributes:
        rows: data lines.
        labels: how often each fault was labelled.
    """

    rows: int
    labels: Mapping[str, int]


def simulate(
    stream: str,
    to: Path,
    request: Request,
    *,
    labels: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Made:
    """Write simulated data. A file appears under its name only when it is whole.

    Args:
        stream: one of SIMULATORS.
        to: `.csv`, `.jsonl` or `.ndjson`, plain or with `.gz` or `.zst`; no other.
        request: what to simulate; its form is taken from the extension.
        labels: where to write the labels, a JSON array; nowhere if None.
        progress: is told how many readings are done, and of how many.

    Raises:
        UserError: there is no simulator for the stream, or the extension or faults are not known.
    """
    if stream not in SIMULATORS:
        raise UserError(f"There is no simulator for {stream!r}.", f"Known: {', '.join(SIMULATORS)}.")
    blocks = SIMULATORS[stream](replace(request, form=_form(to)))
    total = request.steps * request.assets
    rows, counts = 0, dict[str, int]()
    with ExitStack() as files:
        table = files.enter_context(_appearing(to))
        notes = files.enter_context(_appearing(labels)) if labels else None
        for block in blocks:
            table.write(block.lines)
            for label in block.labels:
                if notes:
                    notes.write((b",\n" if counts else b"[\n") + orjson.dumps(label.plain()))
                counts[label.fault] = counts.get(label.fault, 0) + 1
            rows += block.rows
            if progress:
                progress(min(rows, total), total)
        if notes:
            notes.write(b"\n]\n" if counts else b"[]\n")
    return Made(rows, counts)


def read_faults(words: str) -> str | Mapping[str, Any]:
    """The faults that an option names: `none`, `default`, or the content of a TOML or JSON file."""
    if words in {"none", "default"}:
        return words
    path = Path(words)
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except FileNotFoundError:
        raise UserError(f"There is no fault file {words}.", "Known without a file: none, default.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"The fault file {words} cannot be read: {error}.") from error
    if not isinstance(content, dict):
        raise UserError(f"The fault file {words} has no `fault` and no `dirty` in it.")
    return content


def _form(to: Path) -> Literal["csv", "jsonl"]:
    plain = to.with_suffix("") if to.suffix in _COMPRESSIONS else to
    if plain.suffix not in _FORMS:
        raise UserError(f"{to} has no known extension.", f"Known: {', '.join(_FORMS)}, plain or with .gz or .zst.")
    return _FORMS[plain.suffix]


@contextmanager
def _appearing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, compressed by its extension, that takes its name when everything went well."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as plain, _compressed(path.suffix, plain) as file:
                yield file
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from error


@contextmanager
def _compressed(suffix: str, plain: IO[bytes]) -> Iterator[IO[bytes]]:
    """The file that compresses into `plain`: without name and time, so that equal content is equal bytes."""
    if suffix == ".gz":
        with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=plain, mtime=0) as file:
            yield file  # type: ignore[misc]
    elif suffix == ".zst":
        with zstandard.ZstdCompressor().stream_writer(plain, closefd=False) as file:
            yield file
    else:
        yield plain
