"""One simulation: from what is asked to lines in their target, and labels in a file beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import orjson
from msgspec import Struct
from msgspec.structs import replace

from hotfire.clock import Clock, SystemClock
from hotfire.errors import UserError
from hotfire.simulate import dyno, engines, fleet
from hotfire.simulate.model import Block, Blocks, FaultFile, Form, Label, Request
from hotfire.simulate.pace import Piece, ahead, paced, whole
from hotfire.simulate.recording import Recording
from hotfire.simulate.targets import Target, appearing, form_of, opened

SIMULATORS: Mapping[str, Callable[[Request], Blocks]] = {
    "engine_telemetry": engines.generate,
    "dyno_telemetry": dyno.generate,
    "events": fleet.generate,
}
"""What makes the data of a stream."""

_MS_NS = 1_000_000
_LIVE_S = 0.25  # a block that is made ahead covers so much, or one reading


@dataclass(frozen=True, slots=True)
class Errand:
    """What to simulate, and where to.

    Attributes:
        to: a file (`.csv`, `.jsonl`, `.ndjson`, of a dyno `.txt`, plain or with `.gz` or `.zst`), `-` for standard
            output, or the address of a server.
        live: lines leave at their time, not at once.
        from_now: the first reading is taken when the target is ready, whatever the request says.
        labels: where the labels are written, a JSON array; nowhere if None.
        token: what the server wants to see.
        recording: what a dyno plays, instead of what it makes up.
        form: how lines are written; None as the target suggests.
    """

    stream: str
    to: str
    live: bool = False
    from_now: bool = False
    labels: Path | None = None
    token: str | None = field(default=None, repr=False)
    recording: Recording | None = None
    form: Form | None = None


class Made(Struct, frozen=True):
    """What came of it.

    Attributes:
        rows: data lines that the target has taken.
        labels: how often each fault was labelled.
        seconds: how long it took.
        behind_s: live: the longest time by which lines left too late.
        stopped: whether it was told to stop before its end.
    """

    rows: int
    labels: Mapping[str, int]
    seconds: float
    behind_s: float
    stopped: bool


def simulate(
    errand: Errand,
    request: Request,
    *,
    clock: Clock | None = None,
    stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[int], None] | None = None,
) -> Made:
    """Simulate. The same request gives the same bytes, wherever they go, and however fast.

    Args:
        request: its form and block size are set as the target needs them.
        clock: what lines leave by; the machine's if None.
        stopped: asked often; True ends the simulation, and what was taken until then is counted and labelled.
        progress: is told how many rows the target has taken.

    Raises:
        UserError: the stream, the target or a fault is not known, or the target does not take what comes.
        Outage: the target could not be reached for too long.
    """
    blocks, request = _blocks(errand, request)
    clock = clock or SystemClock()
    counts, behind_ns, header = dict[str, int](), 0, int(request.form == "csv")
    with ExitStack() as files:
        target = files.enter_context(opened(errand.stream, errand.to, errand.token, stopped, growing=errand.live))
        note = files.enter_context(_labels(errand.labels))
        began_ns = clock.now_ns()
        if errand.from_now:
            blocks, request = _blocks(errand, replace(request, start_ns=began_ns // _MS_NS * _MS_NS))
        for block in ahead(blocks):
            before, shift_ns = target.rows, began_ns - request.start_ns
            pieces = paced(block, clock, shift_ns, stopped) if errand.live else whole(block)
            behind_ns = max(behind_ns, _taken(target, pieces, stopped))
            rows = target.rows - before
            for label in block.labels if rows == block.rows else _so_far(block, rows, target.rows + header):
                note(label)
                counts[label.fault] = counts.get(label.fault, 0) + 1
            if progress:
                progress(target.rows)
            if stopped():
                break
    seconds = (clock.now_ns() - began_ns) / 1e9
    return Made(target.rows, counts, seconds, behind_ns / 1e9, stopped())


def read_faults(words: str) -> str | FaultFile:
    """The faults that an option names: `none`, `default`, or a fault file, read but not yet checked."""
    if words in {"none", "default"}:
        return words
    try:
        return FaultFile(words, Path(words).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"There is no fault file {words}.", "Known without a file: none, default.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The fault file {words} cannot be read: {error}.") from error


def _blocks(errand: Errand, request: Request) -> tuple[Blocks, Request]:
    """What is to be sent, and the request that it answers."""
    if errand.stream not in SIMULATORS:
        known = f"Known: {', '.join(SIMULATORS)}."
        near = get_close_matches(errand.stream, SIMULATORS, n=1)
        raise UserError(f"There is no simulator for {errand.stream!r}.", f"Did you mean {near[0]}?" if near else known)
    form = errand.form or form_of(errand.to)
    if form == "txt" and errand.stream != "dyno_telemetry":
        raise UserError(f"{errand.stream} has no published form.", "Write .csv or .jsonl.")
    request = replace(request, form=form)
    if errand.live:
        steps = max(1, round(_LIVE_S * request.rate_hz))
        request = replace(request, block_rows=min(request.block_rows, steps * request.assets))
    if errand.recording is None:
        return SIMULATORS[errand.stream](request), request
    if errand.stream != "dyno_telemetry":
        raise UserError(f"{errand.stream} cannot play a file.", "Only dyno_telemetry can: C-MAPSS files.")
    return dyno.generate(request, errand.recording), request


def _taken(target: Target, pieces: Iterable[Piece], stopped: Callable[[], bool]) -> int:
    """Hand the pieces over; the longest delay of one, in nanoseconds."""
    behind_ns = 0
    for piece in pieces:
        behind_ns = max(behind_ns, piece.behind_ns)
        if not target.take(piece.lines, piece.rows) or stopped():
            break
    return behind_ns


def _so_far(block: Block, rows: int, lines: int) -> Iterator[Label]:
    """The labels of what is wrong in the first rows of a block; `lines` is the number of the last line taken."""
    for label in block.labels:
        if label.line <= lines if label.line is not None else rows and label.since_ns <= block.due_ns[rows - 1]:
            yield label


@contextmanager
def _labels(path: Path | None) -> Iterator[Callable[[Label], None]]:
    """Writes labels, one a line, into a JSON array that appears when everything went well."""
    if path is None:
        yield lambda _label: None
        return
    with appearing(path) as file:
        before = [b"[\n"]

        def note(label: Label) -> None:
            file.write(before[0] + orjson.dumps(label.plain()))
            before[0] = b",\n"

        yield note
        file.write(b"\n]\n" if before[0] == b",\n" else b"[]\n")
