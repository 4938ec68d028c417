"""A web API as a source: one look a poll, its answers kept on disk before the batch is planned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hotfire.errors import SourceChanged, UserError
from hotfire.rows import Part, Place, Position, Span
from hotfire.source.rest import KEY
from hotfire.source.rest.look import Look, Looking, State, lines_of
from hotfire.source.rest.records import Taken

if TYPE_CHECKING:
    from hotfire.clock import Clock


class Answered(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which records of a look a part has.

    Attributes:
        plan, names, gone: the plan and the answers, as `Look` has them.
        first, next, rows: the part's first record, the one after it, and how many the look has.
        at_ns: when it was looked.
        then: the state once all of it is committed, where there are more parts to come.
    """

    plan: str
    names: tuple[str, ...]
    gone: str
    first: int
    next: int
    rows: int
    at_ns: int
    then: State | None = None


class RestRead(Struct, frozen=True):
    """What one poll brought."""

    span: Span
    sha256: str
    records: Taken
    received_at_ns: int


class Looked(Struct):
    """What became of the looks of one run: the plan of the last, and what kept it from a smaller one."""

    plan: str = ""
    why: str = ""
    rows: int = 0


class RestSource:
    """Implements `protocols.Source` on a web API. After each look it says once that nothing is there at present.

    Args:
        batch_rows: of one poll's records, so many are one batch; ordinarily all of them are.
        reconcile: the first look compares everything.
    """

    def __init__(self, looking: Looking, clock: Clock, *, batch_rows: int = 100_000, reconcile: bool = False) -> None:
        self._looking, self._clock, self._batch_rows = looking, clock, batch_rows
        self._reconcile = reconcile
        self._key = f"{KEY}{looking.settings.list}"
        self._over = False
        self._kept: Place | None = None
        self._lines: tuple[tuple[Any, ...], list[bytes], list[Any]] = ((), [], [])
        self.looked = Looked()
        self.problems: list[UserError] = []

    @property
    def calls(self) -> int:
        """How many requests were sent."""
        return self._looking.api.calls

    def poll(self, after: Position) -> RestRead | None:
        """The next records of the look under way, or of a new one."""
        place = self._place(after)
        answered = _answered(place)
        if answered is not None and answered.then is not None:
            self._over = True
            try:
                return self._read(place, replace(answered, first=answered.next), answered.then)
            except SourceChanged:
                self._over, place = False, _forgotten(place)
        if self._over:
            self._over = False
            return None
        now_ns = self._clock.now_ns()
        look = self._looking.look(state_of(place), now_ns, reconcile=self._reconcile)
        self._reconcile = False
        self._tell(look)
        if not look.rows:
            self._kept = replace(place, facts={**place.facts, "state": msgspec.to_builtins(look.state)})
            self._looking.book.keep(self._kept)
            return None
        self._over = True
        begun = Answered(look.plan, tuple(look.names), look.gone, 0, 0, look.rows, now_ns)
        return self._read(place, begun, look.state)

    def reread(self, span: Span) -> RestRead:
        """Exactly the records of a span. Raises SourceChanged where its answers are gone."""
        (part,) = span.parts
        answered = msgspec.convert(part.facts["answered"], Answered)
        lines, gone = self._all_lines(answered)
        if len(lines) != answered.rows:
            raise SourceChanged(f"The answers of {part.place.label} have other records now.")
        return self._taken(part, answered, lines, gone)

    def acknowledge(self, position: Position) -> None:
        """Answers that are committed may go, but for the last list."""
        place = position.get(self._key)
        if place is not None:
            answered = _answered(place)
            own = (*answered.names, answered.gone) if answered else ()
            self._looking.answers.release({*own, *state_of(place).listing})

    def close(self) -> None:
        """Nothing is held."""

    def _place(self, after: Position) -> Place:
        settings = self._looking.settings
        place = after.get(self._key) or Place(self._key, "")
        if self._kept is not None and self._kept.offset == place.offset:
            place = self._kept
        return replace(place, label=settings.base_url.rstrip("/") + settings.list)

    def _read(self, place: Place, answered: Answered, state: State) -> RestRead:
        """The part of a look that begins at `answered.first`."""
        lines, gone = self._all_lines(answered)
        end = min(answered.first + self._batch_rows, len(lines))
        is_last = end == len(lines)
        answered = replace(answered, next=end, then=None if is_last else state)
        facts = {"answered": msgspec.to_builtins(answered), "plan": answered.plan}
        if is_last:
            facts["state"] = msgspec.to_builtins(state)
        rows = end - answered.first
        part = Part(place, place.offset + rows, place.line + rows, rows, facts)
        self._kept = None
        return self._taken(part, answered, lines, gone)

    def _taken(self, part: Part, answered: Answered, lines: list[bytes], gone: list[Any]) -> RestRead:
        first, end = answered.first, answered.next
        own = gone[max(0, first - len(lines) + len(gone)) : max(0, end - len(lines) + len(gone))]
        records = Taken(part, lines[first:end], own, self._looking.shape.key)
        return RestRead(Span((part,)), records.sha256, records, answered.at_ns)

    def _all_lines(self, answered: Answered) -> tuple[list[bytes], list[Any]]:
        """Every line of a look; held, because the next part is of the same."""
        of = (answered.names, answered.gone)
        if self._lines[0] != of:
            self._lines = (of, *lines_of(self._looking.answers, answered.names, answered.gone, self._looking.shape))
        return self._lines[1:]

    def _tell(self, look: Look) -> None:
        self.looked = Looked(look.plan, look.why, self.looked.rows + look.rows)
        if look.state.missing:
            settings = self._looking.settings
            what = f"{settings.base_url}{settings.list} lacks {look.state.missing:,} records that are stored: that is too much to be deleted."
            do = f"If they are gone, set max_deleted (now {settings.max_deleted:g}) for one `hotfire ingest --reconcile`."
            self.problems = [UserError(what, do)]


def state_of(place: Place) -> State:
    """What is remembered of the API."""
    return msgspec.convert(place.facts.get("state", {}), State)


def _answered(place: Place) -> Answered | None:
    return msgspec.convert(place.facts["answered"], Answered) if "answered" in place.facts else None


def _forgotten(place: Place) -> Place:
    """The place without the look that was under way, whose answers are gone: everything is to be listed again."""
    state = replace(state_of(place), prints=(), listing=(), reconciled_ns=0)
    facts = {name: value for name, value in place.facts.items() if name != "answered"}
    return replace(place, facts={**facts, "state": msgspec.to_builtins(state)})
