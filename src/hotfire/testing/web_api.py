"""Streams of a web API on the bench: records that change, and a source over a server as each new process opens it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from hotfire.clock import Clock
from hotfire.contract.model import Column, Contract
from hotfire.rows import Place
from hotfire.source.rest.answers import Answers
from hotfire.source.rest.api import Api
from hotfire.source.rest.look import Book, Looking
from hotfire.source.rest.records import Key, Shape
from hotfire.source.rest.settings import RestSettings
from hotfire.source.rest.source import RestSource
from hotfire.testing.clocks import ManualClock
from hotfire.testing.crashes import Fuse

FLIGHTS = Contract(
    stream="flights",
    version="1.0.0",
    kind="entity",
    columns=(
        Column("id", "string", required=True),
        Column("name", "string", required=True),
        Column("date_utc", "timestamp", required=True),
        Column("success", "boolean"),
    ),
    key=("id",),
    hash="flights 1",
)
"""What the records below promise."""

_CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: flights
version: 1.0.0
status: active
schema:
  - name: flights
    logicalType: object
    customProperties: [{property: hotfire.kind, value: entity}]
    properties:
      - {name: id, logicalType: string, required: true, primaryKey: true}
      - {name: name, logicalType: string, required: true}
      - {name: date_utc, logicalType: timestamp, required: true}
      - {name: success, logicalType: boolean}
"""
"""The same, as it is written."""

DAY_NS = 86_400_000_000_000


def flight(number: int, **changes: Any) -> dict[str, Any]:
    """A launch of 2026 that is over, one a day."""
    values = {
        "id": f"f{number:03d}",
        "name": f"Flight {number}",
        "flight_number": number,
        "date_utc": f"2026-{1 + number // 28:02d}-{1 + number % 28:02d}T12:00:00.000Z",
        "success": True,
        "upcoming": False,
    }
    return {**values, **changes}


def flights(number: int, **collections: Any) -> dict[str, Any]:
    """A snapshot for the replica: so many launches, and one that is still to come."""
    planned = flight(number, upcoming=True, success=None, date_utc="2026-12-01T00:00:00.000Z")
    return {"launches": [*map(flight, range(number)), planned], **collections}


class MemoryBook(Struct):
    """Implements `source.rest.look.Book` without a store."""

    stored: set[Key] = field(default_factory=set)
    kept: Place | None = None
    times: int = 0

    def keys(self) -> Collection[Key]:
        """The identities that a test has put here."""
        return self.stored

    def keep(self, place: Place) -> None:
        """Remembered in `kept`."""
        self.kept, self.times = place, self.times + 1


class Asking(Struct):
    """How a test asks a server: opens a source as each new process would.

    Args:
        folder: of the answers.
        changes: settings that differ from those of the launches.
    """

    url: str
    folder: Path
    book: Book = field(default_factory=MemoryBook)
    clock: Clock = field(default_factory=ManualClock)
    contract: Contract = FLIGHTS
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> RestSettings:
        """Those of the launches, with the changes."""
        path = "/v4/launches"
        named = {"list": path, "latest": f"{path}/latest", "query": f"{path}/query", "since": "date_utc"}
        return RestSettings(**{"base_url": self.url, **named, "planned": "upcoming", **self.changes})

    def api(self) -> Api:
        """The server as it is asked."""
        return Api(self.settings, self.clock)

    def open(self, batch_rows: int = 100_000, *, reconcile: bool = False, fuse: Fuse | None = None) -> RestSource:
        """The source, with a fuse in all that has effects."""
        settings, fuse = self.settings, fuse or Fuse()
        shape = Shape([self.contract.column(name) for name in self.contract.key], settings.since, settings.planned)
        answers, book = fuse.wrap("answers", Answers(self.folder)), fuse.wrap("book", self.book)
        looking = Looking(settings, shape, fuse.wrap("api", self.api()), answers, book, self.contract.hash)
        return RestSource(looking, self.clock, batch_rows=batch_rows, reconcile=reconcile)


def write_workspace(folder: Path, url: str, store: str = "") -> None:
    """A workspace with a stream of these launches.

    Args:
        store: of PostgreSQL; empty: SQLite.
    """
    contract = folder / "contracts" / FLIGHTS.stream / "v1.yaml"
    contract.parent.mkdir(parents=True)
    contract.write_text(_CONTRACT, "utf-8")
    path = "/v4/launches"
    named = {"kind": "rest", "base_url": url, "list": path, "latest": f"{path}/latest", "query": f"{path}/query"}
    lines = [f'{name} = "{value}"\n' for name, value in {**named, "since": "date_utc", "planned": "upcoming"}.items()]
    toml = f"[streams.{FLIGHTS.stream}.source]\n{''.join(lines)}"
    (folder / "hotfire.toml").write_text((f'[store]\nurl = "{store}"\n' if store else "") + toml, "utf-8")
