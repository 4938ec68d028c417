"""`hotfire contract`: lint contracts, or draft one from data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hotfire.cli.command import Command, Commands
from hotfire.cli.output import Answer, counted, hint
from hotfire.cli.place import shown_place
from hotfire.cli.workspace import settings_of
from hotfire.errors import UserError

if TYPE_CHECKING:
    import polars as pl

    from hotfire.contract.document import Remark
    from hotfire.protocols import Records

_SAMPLE = 20_000
_MOST = 0.99


@click.command(
    cls=Commands,
    places={
        "lint": ("hotfire.cli.contract:lint", "say what to mend: file, line, field, suggestion"),
        "infer": ("hotfire.cli.contract:infer", "draft a contract from a file; every guess is marked"),
    },
)
def contract() -> None:
    """Contracts: what a stream promises, as ODCS 3.1 YAML in contracts/STREAM/v1.yaml."""


@click.command(cls=Command)
@click.argument("targets", metavar="[STREAM|FILE]...", nargs=-1)
def lint(targets: Sequence[str]) -> Answer:
    """Say what is to be mended in contracts (errors), and what to look at (warnings). All streams if none is named."""
    from hotfire.contract.lint import lint as judge

    remarks: list[Remark] = []
    checked = []
    for name, texts in _texts(targets):
        checked.append(name)
        remarks += judge(texts)
    errors = sum(remark.level == "error" for remark in remarks)
    document = {
        "errors": errors,
        "warnings": len(remarks) - errors,
        "checked": checked,
        "remarks": [_document(remark) for remark in remarks],
    }
    return Answer(document, _lines(remarks, checked, errors), 1 if errors else 0)


@click.command(cls=Command)
@click.argument("file", type=click.Path())
@click.option("--stream", help="The stream's name; else made from the file's.")
def infer(file: str, stream: str | None) -> Answer:
    """Draft a contract from a file: types, units, ranges. Every guess is marked `# guess`; review them."""
    from hotfire.contract.infer import infer as draft

    name = stream or re.sub(r"\W+", "_", Path(file).name.split(".")[0].lower()).strip("_") or "stream"
    text = draft(_sample(file, name), name)
    guesses = text.count("# guess")
    return Answer({"stream": name, "contract": text, "guesses": guesses}, [text.rstrip("\n")])


def _texts(targets: Sequence[str]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Names and texts of what is to be linted: streams of the workspace, or files."""
    from hotfire.workspace.contracts import contract_texts

    files = [target for target in targets if Path(target).is_file()]
    for file in files:
        texts = [(str(one), one.read_text(encoding="utf-8", errors="replace")) for one in _versions(Path(file))]
        yield shown_place(file), texts
    if len(files) == len(targets) and targets:
        return
    settings = settings_of()
    folders = [name for name in settings.streams if (settings.folder / "contracts" / name).is_dir()]
    for name in [target for target in targets if target not in files] or folders:
        settings.stream(name)
        yield name, contract_texts(settings.folder, name)


def _versions(file: Path) -> list[Path]:
    """The file, after the older versions beside it, which its lens may look back at."""
    number = re.fullmatch(r"v(\d+)\.yaml", file.name)
    older = [file.with_name(f"v{one}.yaml") for one in range(1, int(number[1]))] if number else []
    return [*(one for one in older if one.is_file()), file]


def _document(remark: Remark) -> dict[str, Any]:
    return {
        "file": remark.file,
        "line": remark.line,
        "field": remark.field,
        "level": remark.level,
        "message": remark.message,
        "suggestion": remark.suggestion,
    }


def _lines(remarks: Sequence[Remark], checked: Sequence[str], errors: int) -> Iterator[str]:
    for remark in remarks:
        level = click.style(remark.level, fg="red" if remark.level == "error" else "yellow")
        field = f" {remark.field}:" if remark.field else ""
        yield f"{remark.file}:{remark.line}: {level}:{field} {remark.message}"
        if remark.suggestion:
            yield f"    {remark.suggestion}"
    if not checked:
        yield f"There is no contract yet. Draft one: {hint('contract infer FILE')}"
    elif remarks:
        yield f"{counted(errors, 'error')}, {counted(len(remarks) - errors, 'warning')} in {', '.join(checked)}"
    else:
        yield f"{', '.join(checked)}: nothing to mend"


def _sample(file: str, stream: str) -> pl.DataFrame:
    """The first records of a file, one column a field, by path. Read as the workspace says, where it knows the stream."""
    from hotfire.clock import SystemClock
    from hotfire.contract.model import Field
    from hotfire.source.files import FileSource

    source = FileSource([file], _settings(stream), SystemClock())
    try:
        read = source.poll({})
        for problem in source.problems:
            raise problem
        if read is None:
            raise UserError(f"{file} has no records.", "Give a file with at least one.")
        columns = read.span.parts[0].place.facts["reading"].get("columns")
        if not columns:
            return _flattened(read.records)
        texts = [Field(name, name, "string", "iso", coerce=False) for name in columns]
        return read.records.decode(texts).frame.select(columns)
    finally:
        source.close()


def _settings(stream: str) -> Any:
    from dataclasses import replace

    from hotfire.source.files import FileSettings
    from hotfire.workspace.wiring import file_settings

    try:
        settings = settings_of()
    except UserError:
        return FileSettings(batch_rows=_SAMPLE)
    known = settings.streams.get(stream)
    return replace(file_settings(settings, known.source) if known else FileSettings(), batch_rows=_SAMPLE)


def _flattened(records: Records) -> pl.DataFrame:
    """JSON objects as columns by dotted path; what is no object is left out."""
    import msgspec
    import polars as pl

    columns: dict[str, list[Any]] = {}
    number = 0
    for row_no in range(len(records)):
        try:
            record = msgspec.json.decode(records.raw(row_no))
        except msgspec.DecodeError:
            continue
        if isinstance(record, dict):
            for path, value in _leaves(record):
                columns.setdefault(path, []).extend([None] * (number - len(columns.get(path, ()))))
                columns[path].append(value)
            number += 1
    padded = {path: [*values, *[None] * (number - len(values))] for path, values in columns.items()}
    return pl.DataFrame([_series(path, values) for path, values in padded.items()])


def _leaves(record: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{name}.")
        elif not isinstance(value, list):
            yield f"{above}{name}", value


def _series(path: str, values: Sequence[Any]) -> pl.Series:
    """A column of the type that all but a few values have; those few are left out. Of text, where types are mixed."""
    import polars as pl

    found = [value for value in values if value is not None]
    for kinds, dtype in ((bool,), pl.Boolean), ((int,), pl.Int64), ((int, float), pl.Float64):
        fits = [type(value) in kinds for value in found]
        if found and sum(fits) >= _MOST * len(found):
            kept = [value if type(value) in kinds else None for value in values]
            return pl.Series(path, kept, dtype=dtype, strict=False)
    return pl.Series(path, [None if value is None else str(value) for value in values], dtype=pl.String)
