"""What every source must do. A test class inherits `SourceSuite` and says how to open one, and how to spoil it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from polars.testing import assert_frame_equal

from hotfire.contract.model import Field
from hotfire.errors import SourceChanged
from hotfire.protocols import Read, Source
from hotfire.rows import Place, Position

FIELDS = (
    Field("id", "id", "string", "iso", coerce=False),
    Field("n", "n", "integer", "iso", coerce=False),
    Field("x", "x", "number", "iso", coerce=False),
)
ROWS = 25
"""A source under test holds so many records: `id` is the text of 0 to 24, `n` the number, `x` is n / 8."""

Open = Callable[[int], Source]
"""A source as a new process opens it, that gives at most so many records a poll."""


def reads(source: Source, after: Position) -> Iterator[tuple[Position, Read]]:
    """Every read from a position to the end, each with the position it began at."""
    while (read := source.poll(after)) is not None:
        yield after, read
        after = {**after, **{part.place.key: part.after() for part in read.span.parts}}


def raws(read: Read) -> list[bytes]:
    """The bytes of every record."""
    return [read.records.raw(row_no) for row_no in range(len(read.records))]


def places(read: Read) -> list[Place]:
    """The place of every record."""
    return [read.records.where(row_no) for row_no in range(len(read.records))]


class SourceSuite:
    """Inherit it, and give it the fixture `open_source` (see `Open`) over `ROWS` sound records."""

    def spoil(self) -> None:
        """Change what the source reads, within its first records."""
        raise AssertionError(f"{type(self).__name__} has to say how its records are changed")

    def bytes_at(self, place: Place, size: int) -> bytes | None:
        """The source's own bytes at a place; None where it has none that could be looked at."""
        del place, size
        return None

    @pytest.mark.parametrize("batch", [1, 7, 1000])
    def test_every_record_comes_once_and_in_order(self, open_source: Open, batch: int) -> None:
        """Polled to its end, in batches of any size, a source gives each record once; and then nothing, again and again."""
        source, ids, after = open_source(batch), [], {}
        for at, read in reads(source, {}):
            ids += read.records.decode(FIELDS).frame["id"].to_list()
            after = {**at, **{part.place.key: part.after() for part in read.span.parts}}
        assert ids == [str(number) for number in range(ROWS)]
        assert [source.poll(after), source.poll(after)] == [None, None]

    def test_values_are_read_as_their_fields_say(self, open_source: Open) -> None:
        """Text is text, whole numbers and numbers are exact, and record numbers count from 0."""
        frames = [read.records.decode(FIELDS).frame for _, read in reads(open_source(ROWS), {})]
        rows = [row for frame in frames for row in frame.select("row_no", "id", "n", "x").rows()]
        assert rows == [(number, str(number), number, number / 8) for number in range(ROWS)]

    @pytest.mark.parametrize("batch", [1, 7, 1000])
    def test_a_span_has_its_records(self, open_source: Open, batch: int) -> None:
        """The span, its parts, the records and their places say the same number; a poll keeps to its batch."""
        for after, read in reads(open_source(batch), {}):
            assert read.span.rows == len(read.records) == len(raws(read)) <= batch
            for part in read.span.parts:
                assert part.place.offset < part.end
                if part.place.key in after:
                    assert (part.place.offset, part.place.line) == (
                        after[part.place.key].offset,
                        after[part.place.key].line,
                    )

    def test_the_same_position_gives_the_same_records(self, open_source: Open) -> None:
        """Asked again, by the same process or a new one: a poll may bring more, but begins with the same."""
        source = open_source(4)
        for after, read in list(reads(source, {})):
            for again in (source.poll(after), open_source(4).poll(after), open_source(9).poll(after)):
                assert again is not None
                assert raws(again)[: len(read.records)] == raws(read)

    def test_batches_of_any_size_join_to_the_same(self, open_source: Open) -> None:
        """Bytes and places of the records do not depend on where a poll ends."""
        seen = []
        for batch in (1, 6, 1000):
            found = [read for _, read in reads(open_source(batch), {})]
            seen.append([(raw, at) for read in found for raw, at in zip(raws(read), places(read), strict=True)])
        assert seen[0] == seen[1] == seen[2]

    @pytest.mark.parametrize("batch", [1, 7, 1000])
    def test_a_span_can_be_read_again(self, open_source: Open, batch: int) -> None:
        """By a new process, in any order: the same hash, bytes, places and values."""
        polled = [read for _, read in reads(open_source(batch), {})]
        for read in reversed(polled):
            again = open_source(3).reread(read.span)
            assert (again.sha256, again.span) == (read.sha256, read.span)
            assert (raws(again), places(again)) == (raws(read), places(read))
            assert_frame_equal(again.records.decode(FIELDS).frame, read.records.decode(FIELDS).frame)

    def test_different_spans_have_different_hashes(self, open_source: Open) -> None:
        """The hash is of what was read."""
        hashes = [read.sha256 for _, read in reads(open_source(4), {})]
        assert len(set(hashes)) == len(hashes) > 1
        assert all(len(one) == 64 for one in hashes)

    def test_a_change_is_noticed(self, open_source: Open) -> None:
        """Where a planned span no longer has its bytes, reading it again raises SourceChanged or gives another hash."""
        first = next(read for _, read in reads(open_source(1000), {}))
        self.spoil()
        try:
            again = open_source(1000).reread(first.span)
        except SourceChanged as error:
            assert error.what  # noqa: PT017 - either of two answers is right
        else:
            assert again.sha256 != first.sha256

    def test_a_new_process_goes_on_where_the_last_ended(self, open_source: Open) -> None:
        """A position is all that a source needs to know."""
        whole = [raw for _, read in reads(open_source(5), {}) for raw in raws(read)]
        steps = list(reads(open_source(5), {}))
        for number, (after, _) in enumerate(steps):
            rest = [raw for _, read in reads(open_source(5), after) for raw in raws(read)]
            assert rest == whole[5 * number :]

    def test_places_ascend(self, open_source: Open) -> None:
        """Offsets and lines rise record by record, from where the part begins; labels are for people."""
        found = [at for _, read in reads(open_source(7), {}) for at in places(read)]
        spots = [(at.key, at.offset, at.line) for at in found]
        assert len(set(spots)) == ROWS
        assert all(later.offset > at.offset for at, later in pairwise(found) if at.key == later.key)
        assert all(at.label and at.line >= 1 for at in found)

    def test_raw_bytes_stand_at_their_place(self, open_source: Open) -> None:
        """Where a source has bytes of its own, a record's place is where its first byte is."""
        for _, read in reads(open_source(7), {}):
            for raw, at in zip(raws(read), places(read), strict=True):
                assert raw
                assert self.bytes_at(at, len(raw)) in {None, raw}

    def test_acknowledging_takes_nothing_back(self, open_source: Open) -> None:
        """What comes after an acknowledged position comes as before, also when it is acknowledged twice."""
        expected = [raws(read) for _, read in reads(open_source(4), {})]
        source, found = open_source(4), []
        source.acknowledge({})
        for _, read in reads(source, {}):
            found.append(raws(read))
            for _ in range(2):
                source.acknowledge({part.place.key: part.after() for part in read.span.parts})
        assert found == expected
