"""Every source passes the suite that ships with hotfire."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import polars as pl
import pytest
import zstandard

from hotfire.contract.model import Column, Contract
from hotfire.quarantine.replay import QuarantineSource
from hotfire.rows import Place
from hotfire.source.files import FileSettings, FileSource
from hotfire.testing.clocks import ManualClock
from hotfire.testing.source_suite import ROWS, Open, SourceSuite
from hotfire.testing.sources import ListSource
from hotfire.testing.stand import Stand

RECORDS: list[dict[str, Any]] = [{"id": str(number), "n": number, "x": number / 8} for number in range(ROWS)]


class TestListSource(SourceSuite):
    """A list of records."""

    @pytest.fixture
    def open_source(self) -> Open:
        self._records = [dict(record) for record in RECORDS]
        return lambda batch: ListSource(self._records, batch)

    def spoil(self) -> None:
        self._records[3]["n"] = 99


class FileSuite(SourceSuite):
    """Files of one format: how they are written, and how their bytes are found again."""

    names: ClassVar[tuple[str, ...]]

    @pytest.fixture
    def open_source(self, tmp_path: Path) -> Iterator[Open]:
        self._folder = tmp_path
        share = -(-ROWS // len(self.names))
        for number, name in enumerate(self.names):
            self.write(tmp_path / name, RECORDS[number * share : (number + 1) * share])
        with ExitStack() as opened:

            def open_(batch: int) -> FileSource:
                paths = [str(tmp_path / name) for name in self.names]
                source = FileSource(paths, FileSettings(batch_rows=batch), ManualClock())
                return opened.enter_context(closing(source))

            yield open_

    def write(self, path: Path, records: list[dict[str, Any]]) -> None:
        path.write_bytes(self.packed(self.encoded(records)))
        os.utime(path, ns=(10**18, 10**18))

    def packed(self, data: bytes) -> bytes:
        return data

    def unpacked(self, data: bytes) -> bytes:
        return data

    def encoded(self, records: list[dict[str, Any]]) -> bytes:
        return b"".join(msgspec.json.encode(record) + b"\n" for record in records)

    def spoil(self) -> None:
        changed = [{**record, "n": record["n"] + 1} for record in RECORDS[:9]]
        self.write(self._folder / self.names[0], changed)

    def bytes_at(self, place: Place, size: int) -> bytes | None:
        data = self.unpacked(Path(place.label).read_bytes())
        return data[place.offset : place.offset + size]


class TestJsonLines(FileSuite):
    """One JSON object a line."""

    names = ("a.jsonl",)


class TestJsonLinesInSeveralFiles(FileSuite):
    """Three files as one source: spans cross from one to the next."""

    names = ("a.jsonl", "b.jsonl", "c.jsonl")


class TestJsonArray(FileSuite):
    """One array over many lines."""

    names = ("a.json",)

    def encoded(self, records: list[dict[str, Any]]) -> bytes:
        return msgspec.json.format(msgspec.json.encode(records), indent=2)


class TestCsv(FileSuite):
    """A header and quoted cells, line ends of Windows."""

    names = ("a.csv", "b.csv")

    def encoded(self, records: list[dict[str, Any]]) -> bytes:
        lines = [f'"{one["id"]}",{one["n"]},{one["x"]}' for one in records]
        return "\r\n".join(["id,n,x", *lines, ""]).encode()


class TestWhitespaceTable(FileSuite):
    """Columns in runs of spaces."""

    names = ("a.txt",)

    def encoded(self, records: list[dict[str, Any]]) -> bytes:
        lines = [f" {one['id']}   {one['n']}\t{one['x']}" for one in records]
        return "\n".join(["id n x", *lines, ""]).encode()


class TestGzip(FileSuite):
    """Offsets are those of the decompressed bytes."""

    names = ("a.jsonl.gz", "b.jsonl.gz")

    def packed(self, data: bytes) -> bytes:
        return gzip.compress(data[:40]) + gzip.compress(data[40:])

    def unpacked(self, data: bytes) -> bytes:
        return gzip.decompress(data)


class TestZstandard(FileSuite):
    """The same with zstandard."""

    names = ("a.csv.zst",)

    def encoded(self, records: list[dict[str, Any]]) -> bytes:
        return "\n".join(["id,n,x", *(f"{one['id']},{one['n']},{one['x']}" for one in records), ""]).encode()

    def packed(self, data: bytes) -> bytes:
        return zstandard.compress(data)

    def unpacked(self, data: bytes) -> bytes:
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)


class TestParquet(FileSuite):
    """Row groups; a place is a row."""

    names = ("a.parquet", "b.parquet")

    def write(self, path: Path, records: list[dict[str, Any]]) -> None:
        pl.DataFrame(records).write_parquet(path, row_group_size=6)

    def bytes_at(self, place: Place, size: int) -> bytes | None:
        return SourceSuite.bytes_at(self, place, size)


class TestQuarantine(SourceSuite):
    """Rejected rows as a source."""

    contract = Contract(
        stream="s",
        version="1.0.0",
        kind="entity",
        columns=(Column("id", "string", required=True), Column("n", "integer", minimum=1000), Column("x", "number")),
        key=("id",),
        hash="1",
    )

    @pytest.fixture
    def open_source(self, tmp_path: Path) -> Iterator[Callable[[int], QuarantineSource]]:
        self._stand = Stand(tmp_path, self.contract)
        assert self._stand.run(ListSource(RECORDS, 8)).quarantined == ROWS
        with ExitStack() as opened:
            yield lambda batch: opened.enter_context(
                closing(QuarantineSource(self._stand.store(), "s", 5, batch=batch))
            )

    def spoil(self) -> None:
        with closing(self._stand.store()) as store:
            store.discard([3], "spoiled")
