"""A web API as a source passes the suite that ships with hotfire."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hotfire.contract.model import Column, Contract
from hotfire.source.rest.source import RestSource
from hotfire.testing.replica import replica
from hotfire.testing.source_suite import ROWS, Open, SourceSuite
from hotfire.testing.web_api import Asking

RECORDS = [{"id": str(number), "n": number, "x": number / 8} for number in range(ROWS)]
THINGS = Contract("things", "1.0.0", "entity", (Column("id", "string"),), key=("id",))


class TestListedRecords(SourceSuite):
    """A list of records; each `open` is a process of its own."""

    @pytest.fixture
    def open_source(self, tmp_path: Path) -> Iterator[Open]:
        self._folder = tmp_path
        with replica({"rockets": RECORDS}) as server:
            only = {"list": "/v4/rockets", "latest": None, "query": None, "since": None, "planned": None}
            asking = Asking(server.url, tmp_path, contract=THINGS, changes=only)

            def open_(batch: int) -> RestSource:
                return asking.open(batch)

            yield open_

    def spoil(self) -> None:
        (answer,) = self._folder.iterdir()
        answer.write_bytes(answer.read_bytes().replace(b'"n":0', b'"n":1'))
