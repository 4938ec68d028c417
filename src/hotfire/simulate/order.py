"""From readings to the lines that arrive: some spoilt, some again, some late, all numbered, and labels that say so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from hotfire.simulate.dirt import Columns, Lines, drawn, spoil
from hotfire.simulate.faults import DELAYS, Plan, Window
from hotfire.simulate.model import Block, Label, Request

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REACH = 50  # a repeated line comes at most so many lines after the first
_STRAY = 4  # a line out of order comes one reading after its place, or so many more
_NEVER = np.iinfo(np.int64).min
_DIRT = 1_000_000
_CLOCKS = 20_000


class Chunk(Struct, frozen=True):
    """Readings in order of time, as lines that nothing has befallen yet.

    Attributes:
        until_ns: the instant of the first reading that is not in it.
        labels: of faults of readings that begin in it.
    """

    lines: Lines
    until_ns: int
    labels: Sequence[Label] = ()


class _Waiting(Struct, frozen=True):
    """A line that comes later than its place.

    Attributes:
        after: the number of the line that it follows (all lines counted that were made), or
        due_ns: the instant from which it may come.
    """

    text: str
    label: Label
    after: int | None = None
    due_ns: int = 0

    def is_due(self, before: int, until_ns: int) -> bool:
        """Whether it comes before the line of that number and before that instant."""
        return self.after < before if self.after is not None else self.due_ns < until_ns

    def place(self, before: int, lines: Lines) -> int:
        """The index of the line that it follows; -1 for the begin of these lines."""
        if self.after is not None:
            return self.after - before
        return int(np.searchsorted(lines.time_ns, self.due_ns, side="right")) - 1


def assemble(chunks: Iterable[Chunk], plan: Plan, columns: Columns, request: Request) -> Iterator[Block]:
    """The lines as they arrive. How they are cut into chunks changes nothing in them."""
    rng = np.random.default_rng([request.seed, _DIRT])
    arrivals = _Arrivals(plan, columns, request)
    for chunk in chunks:
        yield arrivals.block(chunk, rng.random((len(chunk.lines.text), 2)))
    if (rest := arrivals.rest()) is not None:
        yield rest


class _Arrivals:
    """Lines on their way: how many were made and written, which still wait, and how far each asset's clock is."""

    def __init__(self, plan: Plan, columns: Columns, request: Request) -> None:
        self._plan, self._columns, self._request = plan, columns, request
        self._header = columns.separator.join(columns.names) + "\n" if request.form == "csv" else ""
        self._made, self._written = 0, len(self._header.splitlines())
        self._waiting: list[_Waiting] = []
        self._due_ns = _NEVER
        self._clocks: dict[str, int] = {}
        self._watches = any(one.kind in {"late", "out_of_order"} for one in plan.lines)

    def block(self, chunk: Chunk, draws: NDArray[np.float64]) -> Block:
        """What arrives while these readings are taken. `draws` are two a line, from [0, 1)."""
        text, spoilt, gone = self._befallen(chunk.lines, draws)
        before, self._made = self._made, self._made + len(text)
        due = [one for one in self._waiting if one.is_due(self._made, chunk.until_ns)]
        if due:
            self._waiting = [one for one in self._waiting if not one.is_due(self._made, chunk.until_ns)]
        stays = np.flatnonzero(~gone) if gone.any() else np.arange(len(text))
        places = [one.place(before, chunk.lines) for one in due]
        lines = Lines(text, chunk.lines.asset, chunk.lines.time_ns)
        return self._block(lines, spoilt, stays, list(zip(places, due, strict=True)), chunk.labels)

    def rest(self) -> Block | None:
        """What still waits when the last reading was taken."""
        if not self._waiting:
            return None
        none = Lines(pl.Series(dtype=pl.String), pl.Series(dtype=pl.String), np.empty(0, np.int64))
        waiting, self._waiting = self._waiting, []
        return self._block(none, {}, np.empty(0, np.int64), [(-1, one) for one in waiting], ())

    def _befallen(
        self, lines: Lines, draws: NDArray[np.float64]
    ) -> tuple[pl.Series, dict[int, Label], NDArray[np.bool_]]:
        """The texts, labels of the spoilt ones by place, and which of them come later than their place."""
        windows, start_ns = self._plan.lines, self._request.start_ns
        gone = np.zeros(len(lines.text), dtype=np.bool_)
        chosen, delayed = drawn(lines, draws[:, 0], windows, start_ns), _delayed(lines, windows, start_ns)
        labels: dict[int, Label] = {}
        for at in sorted({*np.flatnonzero(chosen >= 0).tolist(), *delayed}):
            window, text, draw = windows[delayed.get(at, chosen[at])], str(lines.text[at]), float(draws[at, 1])
            label = lines.label(at, window.kind)
            if window.kind in {"duplicate", "out_of_order"} or at in delayed:
                gone[at] = window.kind != "duplicate"
                self._waiting.append(self._held(window, replace(label, text=text), self._made + at, draw))
            else:
                labels[at] = replace(label, **spoil(window.kind, text, self._columns, draw))
        texts = [label.text for label in labels.values()]
        return (lines.text.clone().scatter(list(labels), texts) if labels else lines.text), labels, gone

    def _held(self, window: Window, label: Label, number: int, draw: float) -> _Waiting:
        """The line of that number, to come again or to come later."""
        assert label.text is not None
        if window.kind == "duplicate":
            return _Waiting(label.text, replace(label, fate="duplicate"), after=number + 1 + int(draw * _REACH))
        text, label = label.text, replace(label, text=None)
        if window.kind == "out_of_order":
            return _Waiting(text, label, after=number + int((1 + draw * _STRAY) * self._request.assets))
        if window.kind == "late":
            return _Waiting(text, label, due_ns=label.since_ns + int(window.size))
        end_ns = self._request.start_ns + window.at_ns + (window.for_ns or 0)
        return _Waiting(text, label, due_ns=end_ns - 1)  # before what is taken at that instant

    def _block(
        self,
        lines: Lines,
        spoilt: dict[int, Label],
        stays: NDArray[np.int64],
        come: list[tuple[int, _Waiting]],
        labels: Sequence[Label],
    ) -> Block:
        """Lines that stay in their place and, behind the lines that they follow, those that come from elsewhere."""
        size, own = len(lines.text), [one.label for _, one in come]
        if come:
            places = np.concatenate([stays, [place for place, _ in come]])
            order = np.lexsort((np.arange(len(places)), np.arange(len(places)) >= len(stays), places))
            source = np.concatenate([stays, np.arange(size, size + len(come))])[order]
            text = pl.concat([lines.text, pl.Series([one.text for _, one in come], dtype=pl.String)]).gather(source)
        else:
            source = stays
            text = lines.text if len(stays) == size else lines.text.gather(stays)
        moved = dict(zip(range(size, size + len(come)), own, strict=True))
        if self._watches:
            moved = self._judged(lines, spoilt, source, moved)
        dirty = {**spoilt, **moved}
        time_ns = np.concatenate([lines.time_ns, np.full(len(come), _NEVER)])[source]
        return self._numbered(text, time_ns, source, dirty, labels)

    def _numbered(
        self,
        text: pl.Series,
        time_ns: NDArray[np.int64],
        source: NDArray[np.int64],
        dirty: dict[int, Label],
        labels: Sequence[Label],
    ) -> Block:
        """The block. `dirty` holds labels by where their lines came from, as `source` says of each line."""
        due_ns = np.maximum(np.maximum.accumulate(time_ns), self._due_ns) if len(text) else time_ns
        self._due_ns = int(due_ns[-1]) if len(text) else self._due_ns
        number = np.empty(int(source.max(initial=-1)) + 1, np.int64)
        number[source] = np.arange(self._written + 1, self._written + 1 + len(source))
        found = [*labels, *(replace(label, line=int(number[at])) for at, label in dirty.items())]
        body = text.str.join("\n").item() + "\n" if len(text) else ""
        header, self._header = self._header, ""
        self._written += len(text)
        return Block((header + body).encode(), len(text), due_ns, tuple(found))

    def _judged(
        self, lines: Lines, spoilt: dict[int, Label], source: NDArray[np.int64], moved: dict[int, Label]
    ) -> dict[int, Label]:
        """The labels of moved lines; `late` where a later reading of the asset that counts has come before."""
        size, own = len(lines.text), list(moved.values())
        counts = lines.time_ns.copy()
        counts[[at for at, label in spoilt.items() if label.fate == "quarantined"]] = _NEVER
        times = np.concatenate([counts, np.array([one.since_ns for one in own], dtype=np.int64)])
        assets = pl.concat([lines.asset, pl.Series([one.asset for one in own], dtype=pl.String)])
        came = pl.DataFrame({"asset": assets.gather(source), "time": times[source], "source": source})
        ahead = came.with_columns(clock=pl.col("time").cum_max().over("asset"))
        judged = dict(moved)
        for asset, clock, at in ahead.filter(pl.col("source") >= size).select("asset", "clock", "source").iter_rows():
            label = moved[at]
            if label.fate is None and max(clock, self._clocks.get(asset, _NEVER)) > label.since_ns:
                judged[at] = replace(label, fate="late")
        for asset, clock in ahead.group_by("asset").agg(pl.col("clock").max()).iter_rows():
            self._clocks[asset] = max(clock, self._clocks.get(asset, _NEVER))
        if len(self._clocks) > 2 * _CLOCKS:  # of assets that came and went
            newest = sorted(self._clocks.items(), key=lambda one: -one[1])[:_CLOCKS]
            self._clocks = dict(newest)
        return judged


def _delayed(lines: Lines, windows: Sequence[Window], start_ns: int) -> dict[int, int]:
    """By line that comes late, as do all of its time: the number of the window that makes it so."""
    found: dict[int, int] = {}
    for number, window in enumerate(windows):
        if window.kind in DELAYS:
            within = np.flatnonzero(lines.within(window, start_ns)).tolist()
            found = {**dict.fromkeys(within, number), **found}
    return found
