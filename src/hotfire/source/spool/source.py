"""Pushed rows as a source: what is durable in a spool, batch by batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from hotfire.errors import SourceChanged, UserError
from hotfire.rows import Part, Place, Position, Span
from hotfire.source.formats.join import Joined
from hotfire.source.formats.reading import Reading
from hotfire.source.spool.frames import Frame
from hotfire.source.spool.records import Piece, Run, runs

if TYPE_CHECKING:
    from hotfire.protocols import Records
    from hotfire.source.spool.writer import Spool

KEY = "spool-"
"""The keys of a spool's places begin like this, and no others'."""
_BLOCK = 1 << 20
_WITHIN_NS = 60_000_000_000


class SpoolSettings(Struct, frozen=True):
    """How pushed rows are read, and how many at once.

    Attributes:
        label: what people call the place.
        reading: for payloads whose facts say nothing else.
    """

    label: str = "http"
    reading: Reading = field(default_factory=lambda: Reading("jsonl"))
    batch_rows: int = 100_000
    batch_bytes: int = 32 << 20


class SpoolRead(Struct, frozen=True):
    """What one poll brought. `received_at_ns`: when the newest of it reached hotfire; None where that is damaged."""

    span: Span
    sha256: str
    records: Records
    received_at_ns: int | None


class SpoolSource:
    """Implements `protocols.Source` on a spool, which may be filled meanwhile. One part a batch.

    A position that is not of this spool as it is now (another disk was put back) is not believed: reading begins anew
    at what is there, under a key of its own, and what was stored before is recognised as duplicate.

    Args:
        spool: stays open when the source is closed.
    """

    def __init__(self, spool: Spool, settings: SpoolSettings | None = None) -> None:
        self._spool = spool
        self._settings = settings or SpoolSettings()
        self._seen = -1
        self._judged: dict[str, bool] = {}
        self.problems: list[UserError] = []

    def poll(self, after: Position) -> SpoolRead | None:
        """The next records at or after the position: what is durable now, at most a batch. Never waits."""
        wanted = self._settings
        place = here = self._place(after)
        rows, found = 0, list[Run]()
        while not rows:
            pieces = _batch(self._pieces(here), wanted.batch_bytes)
            found = list(runs(pieces, wanted.reading, here.line, wanted.batch_rows))
            here = _behind(here, found[-1]) if found else here
            self._seen = max(self._seen, here.offset)
            if not found:
                return None
            rows = sum(run.rows for run in found)
        return _read(Part(place, here.offset, here.line, rows, {"last": here.facts["last"]}), found)

    def reread(self, span: Span) -> SpoolRead:
        """Exactly the records of a span. Raises SourceChanged where they are gone or others."""
        (part,) = span.parts
        reading = Reading.of(part.place.facts["reading"])
        pieces = _upto(self._pieces(part.place), part.end)
        found = list(runs(pieces, reading, part.place.line, part.rows))
        if sum(run.rows for run in found) != part.rows:
            raise SourceChanged(
                f"The spool {self._spool.folder} no longer holds what a planned batch was read from.",
                "Bring its files back as they were, or drop the plan with `hotfire doctor --repair`.",
            )
        return _read(part, found)

    def acknowledge(self, position: Position) -> None:
        """Segments that are wholly before the position are deleted."""
        self._spool.release(self._place(position).offset)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until there is more than the last poll has seen, or the spool is told to `wake`; whether there is."""
        return self._spool.wait(self._seen, timeout_s)

    def close(self) -> None:
        """End a `wait` that is under way. The spool stays open."""
        self._spool.wake()

    def _place(self, position: Position) -> Place:
        """Where reading goes on."""
        spool, wanted = self._spool, self._settings
        facts = {"reading": wanted.reading.facts()}
        known = _newest(position, spool.key)
        if known is None or not self._believes(known):
            key = spool.key if known is None else f"{spool.key}.{_generation(known.key) + 1}"
            return Place(key, wanted.label, spool.begin, 1, facts)
        return replace(known, offset=max(known.offset, spool.begin), label=wanted.label, facts={**known.facts, **facts})

    def _believes(self, known: Place) -> bool:
        """Whether the position is one of this spool. Looked at once a key; what is amiss becomes a problem."""
        if known.key not in self._judged:
            self._judged[known.key] = self._fits(known)
        return self._judged[known.key]

    def _fits(self, known: Place) -> bool:
        spool, begin = self._spool, self._spool.begin
        if known.offset > spool.end or not self._holds(*known.facts["last"]):
            what = f"The spool {spool.folder} is not the one that was read up to byte {known.offset}."
            self.problems.append(
                UserError(what, "All of it was read anew; what was stored before counts as duplicate.")
            )
            return False
        if known.offset < begin:
            what = f"{begin - known.offset} bytes are missing at the begin of the spool {spool.folder}."
            self.problems.append(UserError(what, "Rows are lost, unless a store or spool was put back from a backup."))
        return True

    def _holds(self, start: int, end: int, check: int) -> bool:
        """Whether an item that was read stands where it stood; True where it was let go of."""
        if start < self._spool.begin:
            return True
        found = self._spool.read(start, end - start)
        return bool(found) and (found[0].start, found[0].end, found[0].check) == (start, end, check)

    def _pieces(self, place: Place) -> Iterator[Piece]:
        """What stands from the place on; first the rest of the item in which the last batch ended."""
        start, end, _ = place.facts.get("last", (0, 0, 0))
        at = start if place.offset < end else place.offset
        while items := self._spool.read(at, _BLOCK):
            for item in items:
                first = max(item.at, place.offset)
                yield Piece(item, first, item.payload[first - item.at :])
            at = items[-1].end


def _batch(pieces: Iterable[Piece], size: int) -> Iterator[Piece]:
    """Pieces up to so many bytes, but at least one, that came within a minute: a batch has one instant of receipt."""
    since_ns: int | None = None
    for piece in pieces:
        if isinstance(piece.item, Frame):
            since_ns = since_ns or piece.item.received_at_ns
            if not 0 <= piece.item.received_at_ns - since_ns <= _WITHIN_NS:
                return
        yield piece
        size -= len(piece.data)
        if size <= 0:
            return


def _upto(pieces: Iterable[Piece], end: int) -> Iterator[Piece]:
    """Pieces before an offset, the last one cut there."""
    for piece in pieces:
        if piece.at >= end:
            return
        yield piece._replace(data=piece.data[: end - piece.at])


def _behind(place: Place, run: Run) -> Place:
    last = [run.last.start, run.last.end, run.last.check]
    return replace(place, offset=run.end, line=run.end_line, facts={**place.facts, "last": last})


def _newest(position: Position, key: str) -> Place | None:
    """The spool's own place in a position; the last, where reading had to begin anew."""
    own = [place for place in position.values() if place.key == key or place.key.startswith(f"{key}.")]
    return max(own, key=lambda place: _generation(place.key), default=None)


def _generation(key: str) -> int:
    return int(key.partition(".")[2] or 0)


def _read(part: Part, found: Sequence[Run]) -> SpoolRead:
    sha = hashlib.sha256()
    full = [run for run in found if run.rows]
    for run in full:
        sha.update(run.data)
    groups = [run.records(part.place) for run in full]
    frames = [piece.item for run in found for piece in run.pieces if isinstance(piece.item, Frame)]
    received_at_ns = max((frame.received_at_ns for frame in frames), default=None)
    records = groups[0] if len(groups) == 1 else Joined(groups)
    return SpoolRead(Span((part,)), sha.hexdigest(), records, received_at_ns)
