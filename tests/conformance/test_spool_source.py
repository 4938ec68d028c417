"""The spool as a source passes the suite that ships with hotfire, however its records were pushed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from hotfire.rows import Place
from hotfire.source.spool.segments import listing
from hotfire.source.spool.source import SpoolSettings, SpoolSource
from hotfire.source.spool.writer import Spool, SpoolLimits
from hotfire.testing.clocks import ManualClock
from hotfire.testing.source_suite import ROWS, Open, SourceSuite

LINES = [msgspec.json.encode({"id": str(number), "n": number, "x": number / 8}) for number in range(ROWS)]


class SpoolSuite(SourceSuite):
    """Requests of some form; each `open` is a process of its own."""

    segment_bytes: ClassVar[int] = 1 << 16
    facts: ClassVar[dict[str, Any] | None] = None

    def payloads(self) -> list[bytes]:
        raise AssertionError(f"{type(self).__name__} has to say what is pushed")

    @pytest.fixture
    def open_source(self, tmp_path: Path) -> Iterator[Open]:
        self._folder = tmp_path
        limits = SpoolLimits(self.segment_bytes)
        spools = [Spool(tmp_path, ManualClock(), limits)]
        for payload in self.payloads():
            done = spools[0].append(payload, self.facts)
            assert done is not None
            done.result(10)

        def open_(batch: int) -> SpoolSource:
            spools.pop().close()
            spools.append(Spool(tmp_path, ManualClock(), limits))
            return SpoolSource(spools[0], SpoolSettings(batch_rows=batch))

        yield open_
        spools[0].close()

    def spoil(self) -> None:
        path = listing(self._folder)[0].path
        data = bytearray(path.read_bytes())
        data[data.index(b'"n":0')] ^= 1
        path.write_bytes(data)

    def bytes_at(self, place: Place, size: int) -> bytes | None:
        segment = next(one for one in listing(self._folder) if one.base <= place.offset < one.end)
        return segment.path.read_bytes()[place.offset - segment.base :][:size]


class TestOneRowARequest(SpoolSuite):
    """Many small requests, most without a line end."""

    def payloads(self) -> list[bytes]:
        return [line + b"\n" * (number % 3 == 0) for number, line in enumerate(LINES)]


class TestOneRequest(SpoolSuite):
    """One large request with blank lines in it, split over batches."""

    def payloads(self) -> list[bytes]:
        return [b"\n\n".join(LINES[:9]) + b"\r\n" + b"\n".join(LINES[9:])]


class TestManySegments(SpoolSuite):
    """Requests of uneven size over many files."""

    segment_bytes = 300

    def payloads(self) -> list[bytes]:
        return [b"\n".join(LINES[at : at + size]) for at, size in ((0, 1), (1, 9), (10, 2), (12, 12), (24, 1))]


class TestJsonArrays(SpoolSuite):
    """Requests that are arrays over many lines, one of them empty."""

    facts = {"format": "json"}  # noqa: RUF012 - the suite says that it is one of the class

    def payloads(self) -> list[bytes]:
        arrays = [LINES[:1], [], LINES[1:11], LINES[11:]]
        return [b"[\n" + b",\n".join(lines) + b"\n]" for lines in arrays]
