"""`backtest` as a function, for rule tests in pytest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl
from msgspec.structs import replace

from hotfire.clock import SystemClock
from hotfire.contract.model import Contract, wire
from hotfire.contract.odcs import compile_contract
from hotfire.detect.rules import stream_of
from hotfire.engine.backtest import Backtest
from hotfire.engine.labels import read_labels
from hotfire.errors import UserError
from hotfire.source.files import FileSettings, FileSource
from hotfire.source.formats.reading import Wanted
from hotfire.testing.sources import ListSource
from hotfire.workspace.backtests import Asked, text_of, tried_on, tried_on_rows
from hotfire.workspace.contracts import load_contract
from hotfire.workspace.reading_files import file_settings, needed_fields
from hotfire.workspace.settings import current

if TYPE_CHECKING:
    from hotfire.protocols import Source

Place: TypeAlias = str | PathLike[str]
Rows: TypeAlias = pl.DataFrame | Sequence[Mapping[str, Any]] | Place | Sequence[Place]
_BATCH = 100_000
_MAJOR = re.compile(r"^version: *[\"']?([0-9]+)", re.MULTILINE)


def backtest(
    rules: Place,
    rows: Rows,
    contract: Contract | Place | None = None,
    *,
    labels: Place | None = None,
    limits: bool = True,
) -> Backtest:
    """Try rules on rows: the conditions that they would have raised, exactly as live.

    Rows are judged by the contract first, as if they were all that its stream ever got: what it rejects, and what is there
    twice, reaches no rule. A frame of `hotfire.read` was judged before.

    Args:
        rules: a rules file, or its text.
        rows: files, folders or patterns; records as a list of mappings; a frame with source fields as columns, or one of
            `hotfire.read`, with the event time in nanoseconds. In order of arrival.
        contract: a file or a folder of `vN.yaml`, a text, or a compiled one; None: that of the workspace around the rules
            file, or around the working folder.
        labels: a file of labelled faults, as `hotfire simulate` writes it, or its text: gives `Backtest.score`.
        limits: with the limits of the contract.

    Raises:
        ContractError: rules or contract are not well written.
        UserError: a file cannot be read, or there is no contract.
    """
    name, text = _text(rules)
    own, asked = _contract(contract, name, text), Asked([(name, text)], limits=limits)
    if isinstance(rows, pl.DataFrame) and {*own.identity[:2]} <= {*rows.columns}:
        came = tried_on_rows(own, asked, rows)
    else:
        with _source(rows, own, _reading(contract, own, name)) as source:
            came = tried_on(own, asked, source, SystemClock())
    for problem in came.problems:
        raise problem
    found = came.found[0]
    return found if labels is None else found.scored(read_labels(*_text(labels)))


def _text(given: Place) -> tuple[str, str]:
    """A file's name and text; of a text itself, how it is called in messages."""
    if isinstance(given, str) and "\n" in given:
        return "rules", given
    return text_of(Path(given))


def _folder(name: str) -> Path:
    """Where the workspace is looked for."""
    path = Path(name)
    return path.absolute().parent if path.is_file() else Path.cwd()


def _contract(given: Contract | Place | None, name: str, text: str) -> Contract:
    if isinstance(given, Contract):
        return given
    if given is None:
        return load_contract(current(start=_folder(name)).folder, stream_of(name, text))
    if isinstance(given, str) and "\n" in given:
        major = _MAJOR.search(given)
        return compile_contract([(f"v{major[1] if major else 1}.yaml", given)])
    path = Path(given)
    if not path.is_dir():
        return compile_contract([text_of(path)])
    versions = sorted(path.glob("v*.yaml"), key=lambda one: (len(one.name), one.name))
    if not versions:
        raise UserError(f"{path} holds no v1.yaml.", "Name the folder of a contract: contracts/engine_telemetry.")
    return compile_contract([text_of(one) for one in versions])


def _reading(given: Contract | Place | None, own: Contract, name: str) -> FileSettings:
    """How files are read: as the workspace's settings say, where its contract is used."""
    if given is not None:
        return FileSettings(Wanted(needs=needed_fields(own)))
    around = current(start=_folder(name))
    return replace(file_settings(around, around.stream(own.stream).source, needed_fields(own)), resume=False)


@contextmanager
def _source(rows: Rows, contract: Contract, settings: FileSettings) -> Iterator[Source]:
    """The rows as a source of records."""
    if isinstance(rows, pl.DataFrame):
        with TemporaryDirectory(prefix="hotfire-") as folder:
            place = Path(folder) / "rows.parquet"
            _fields(rows, contract).write_parquet(place)
            with closing(FileSource([str(place)], FileSettings(Wanted()), SystemClock())) as source:
                yield source
    elif isinstance(rows, str | PathLike):
        with closing(FileSource([str(rows)], settings, SystemClock())) as source:
            yield source
    elif all(isinstance(one, Mapping) for one in rows):
        yield ListSource([dict(one) for one in rows if isinstance(one, Mapping)], _BATCH)
    else:
        with closing(FileSource([str(one) for one in rows], settings, SystemClock())) as source:
            yield source


def _fields(rows: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """The fields of a frame that some version asks for; a column by the contract's name for it stands for its path."""
    named = {column.path or column.name: column.name for column in contract.columns if column.name in rows.columns}
    named |= {field.path: field.path for field in wire(contract) if field.path in rows.columns}
    return rows.select(pl.col(name).alias(path) for path, name in named.items())
