"""Laws of every simulation, whatever is asked of it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hotfire.simulate import dyno, engines, fleet
from hotfire.simulate.dirt import spoil
from hotfire.simulate.faults import SPOILT
from hotfire.simulate.model import FaultFile, Label, Request
from hotfire.simulate.play import SIMULATORS

ASSETS = {"engine_telemetry": "TRE-00{}", "dyno_telemetry": "FD900/{}", "events": "device_000{}"}
TIMES = st.sampled_from(["0 s", "7 s", "1 min", "3.5 min"])
SHARES = ("duplicate", "out_of_order", "malformed", "out_of_range", "truncated")


@st.composite
def fault_files(draw: st.DrawFn, stream: str) -> FaultFile:
    """Faults of readings and of lines, over each other."""
    asset = st.builds(ASSETS[stream].format, st.integers(1, 2))
    readings = st.fixed_dictionaries(
        {"kind": st.sampled_from(["drift", "stuck_sensor", "dropout"]), "asset": asset, "at": TIMES, "for": TIMES}
    )
    shares = st.fixed_dictionaries(
        {"kind": st.sampled_from(SHARES), "size": st.sampled_from([0, 0.01, 0.1, 0.3]), "at": TIMES},
        optional={"asset": asset, "for": TIMES},
    )
    delays = st.fixed_dictionaries(
        {"kind": st.sampled_from(["late", "outage"]), "at": TIMES, "for": TIMES}, optional={"asset": asset}
    )
    listed = draw(st.lists(st.one_of(readings, shares, delays), max_size=5))
    return FaultFile("faults.yaml", json.dumps({"faults": listed}))


@st.composite
def requests(draw: st.DrawFn, stream: str) -> Request:
    """Some minutes of a few assets."""
    return Request(
        start_ns=draw(st.sampled_from([0, 1_772_323_200_000_000_000, 1_772_323_200_000_000_001])),
        hours=draw(st.sampled_from([0.01, 0.05, 0.1, 0.2])),
        rate_hz=draw(st.sampled_from([0.1, 0.5, 1, 3, 4.5])),
        assets=draw(st.integers(2, 7)),
        seed=draw(st.integers(0, 2**32)),
        faults=draw(st.one_of(st.sampled_from(["none", "default"]), fault_files(stream))),
        form=draw(st.sampled_from(["csv", "jsonl"])),
    )


streams = pytest.mark.parametrize("stream", SIMULATORS)


def made(stream: str, request: Request) -> tuple[bytes, list[Label]]:
    blocks = list(SIMULATORS[stream](request))
    assert [block.rows for block in blocks] == [
        block.lines.count(b"\n") - (place == 0 and request.form == "csv") for place, block in enumerate(blocks)
    ]
    due = [instant for block in blocks for instant in block.due_ns.tolist()]
    assert len(due) == sum(block.rows for block in blocks)
    assert due == sorted(due)
    return b"".join(block.lines for block in blocks), [label for block in blocks for label in block.labels]


@streams
@given(data=st.data(), block_rows=st.integers(1, 500))
@settings(max_examples=12)
def test_the_same_seed_gives_the_same_bytes_however_they_are_cut(
    stream: str, data: st.DataObject, block_rows: int
) -> None:
    """Blocks are a matter of memory: bytes and labels do not depend on their size."""
    request = data.draw(requests(stream))
    whole, labels = made(stream, request)
    cut = replace(request, block_rows=max(block_rows, request.assets * request.steps // 60))
    again, cut_labels = made(stream, cut)
    assert again == whole
    assert sorted(map(repr, cut_labels)) == sorted(map(repr, labels))


@streams
@given(data=st.data())
@settings(max_examples=6)
def test_another_seed_gives_other_bytes(stream: str, data: st.DataObject) -> None:
    """The seed is what makes one simulation differ from another."""
    request = data.draw(requests(stream))
    assert made(stream, request)[0] != made(stream, replace(request, seed=request.seed + 1))[0]


@streams
@given(data=st.data())
@settings(max_examples=15)
def test_no_reading_is_lost_or_made_up(stream: str, data: st.DataObject) -> None:
    """Each line is a reading of the healthy simulation, or has a label; only dropouts take lines away."""
    request = replace(data.draw(requests(stream)), form="jsonl")
    lines, labels = made(stream, request)
    repeated = sum(label.fault == "duplicate" for label in labels)
    steps = {(label.asset, step) for label in labels if label.fault == "dropout" for step in _steps(label, request)}
    assert lines.count(b"\n") == request.steps * request.assets - len(steps) + repeated


def _steps(label: Label, request: Request) -> range:
    first = int((label.since_ns - request.start_ns) * request.rate / 1_000_000_000 + 1e-3)
    return range(first, first + label.rows)


@streams
@given(data=st.data())
@settings(max_examples=15)
def test_labels_lie_in_the_simulation_and_name_their_lines(stream: str, data: st.DataObject) -> None:
    """Every label is about a time that exists; the text of a spoilt line stands at its number, and no number twice."""
    request = data.draw(requests(stream))
    whole, labels = made(stream, request)
    lines = whole.decode().split("\n")
    end = request.instant_ns(request.steps)
    for label in labels:
        assert request.start_ns <= label.since_ns <= label.until_ns < end
        assert label.rows >= 1
        if label.line is not None and label.text is not None:
            assert lines[label.line - 1] == label.text
            assert (label.check is None) == (label.fate == "duplicate")
        elif label.line is not None:
            assert label.asset in lines[label.line - 1]
    numbers = [label.line for label in labels if label.line is not None]
    assert len(set(numbers)) == len(numbers)


KEYS = {
    "engine_telemetry": ("engine_id", "event_time"),
    "dyno_telemetry": ("asset_id", "event_time"),
    "events": ("device_id", "timestamp"),
}


@streams
@given(data=st.data())
@settings(max_examples=15)
def test_late_is_what_comes_behind_a_newer_reading_that_counts(stream: str, data: st.DataObject) -> None:
    """Going through the lines as they arrive, with a clock for each asset, finds the labels with that fate."""
    request = replace(data.draw(requests(stream)), form="jsonl")
    whole, labels = made(stream, request)
    by_line = {label.line: label for label in labels if label.line is not None}
    asset, time = KEYS[stream]
    clocks: dict[str, str] = {}
    late = Counter[bool]()
    for number, line in enumerate(whole.splitlines(), 1):
        label = by_line.get(number)
        if label is not None and label.fate in ("quarantined", "duplicate"):
            continue
        record: dict[str, Any] = orjson.loads(line)
        behind = clocks.get(record[asset], "") > record[time]
        assert behind == (label is not None and label.fate == "late")
        clocks[record[asset]] = max(clocks.get(record[asset], ""), record[time])
        late[behind] += 1
    assert late[False]


COLUMNS = {"engines": engines.COLUMNS, "dyno": dyno.columns_of("csv"), "fleet": fleet.COLUMNS}


@given(
    name=st.sampled_from(sorted(COLUMNS)),
    form=st.sampled_from(["csv", "jsonl"]),
    way=st.sampled_from(SPOILT),
    draw=st.floats(0, 1, exclude_max=True),
)
@settings(max_examples=120)
def test_a_spoilt_line_is_never_a_sound_one(name: str, form: Any, way: str, draw: float) -> None:
    """Wherever it is cut and whatever is replaced, a spoilt line differs, stays one line and is not empty."""
    line = LINES[name, form]
    text = spoil(way, line, COLUMNS[name], draw)["text"]
    assert text
    assert text != line
    assert "\n" not in text
    if way == "truncated":
        assert line.startswith(text)
    if form == "csv":
        assert (text.count(",") != line.count(",")) == (way in {"truncated", "wrong_fields"})
    elif way == "truncated":
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(text)


def _line(stream: str, form: Any) -> str:
    request = Request(0, hours=0.01, assets=2, faults="none", form=form)
    return next(iter(SIMULATORS[stream](request))).lines.decode().splitlines()[-1]


LINES = {
    (name, form): _line(stream, form)
    for name, stream in zip(("engines", "dyno", "fleet"), SIMULATORS, strict=True)
    for form in ("csv", "jsonl")
}
