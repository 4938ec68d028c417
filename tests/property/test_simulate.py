"""Laws of every simulation, whatever is asked of it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from hotfire.simulate.dirt import spoil
from hotfire.simulate.engines import COLUMNS, generate
from hotfire.simulate.faults import DIRTY
from hotfire.simulate.model import Label, Request

REQUESTS = st.builds(
    Request,
    start_ns=st.sampled_from([0, 1_772_323_200_000_000_000, 1_772_323_200_000_000_001]),
    hours=st.sampled_from([0.01, 0.05, 0.1, 0.5]),
    rate_hz=st.sampled_from([0.1, 0.5, 1, 3, 4.5]),
    assets=st.integers(1, 7),
    seed=st.integers(0, 2**32),
    faults=st.one_of(
        st.sampled_from(["none", "default"]),
        st.fixed_dictionaries({"dirty": st.dictionaries(st.sampled_from(DIRTY), st.floats(0, 0.16))}),
    ),
    form=st.sampled_from(["csv", "jsonl"]),
)


def made(request: Request) -> tuple[bytes, list[Label]]:
    blocks = list(generate(request))
    assert [block.rows for block in blocks] == [
        block.lines.count(b"\n") - (place == 0 and request.form == "csv") for place, block in enumerate(blocks)
    ]
    return b"".join(block.lines for block in blocks), [label for block in blocks for label in block.labels]


@given(request=REQUESTS, block_rows=st.integers(1, 500))
@settings(max_examples=20)
def test_the_same_seed_gives_the_same_bytes_however_they_are_cut(request: Request, block_rows: int) -> None:
    """Blocks are a matter of memory: bytes and labels do not depend on their size."""
    whole, labels = made(request)
    again, cut_labels = made(replace(request, block_rows=max(block_rows, request.assets * request.steps // 60)))
    assert again == whole
    assert sorted(map(repr, cut_labels)) == sorted(map(repr, labels))


@given(request=REQUESTS)
@settings(max_examples=15)
def test_another_seed_gives_other_bytes(request: Request) -> None:
    """The seed is what makes one simulation differ from another."""
    assert made(request)[0] != made(replace(request, seed=request.seed + 1))[0]


@given(request=REQUESTS)
@settings(max_examples=30)
def test_no_reading_is_lost_or_made_up(request: Request) -> None:
    """Rows are readings less dropouts plus repeats: labels account for every difference."""
    data, labels = made(request)
    dropped = sum(label.rows for label in labels if label.fault == "dropout")
    repeated = sum(label.fault == "duplicate" for label in labels)
    header = request.form == "csv"
    assert data.count(b"\n") - header == request.steps * request.assets - dropped + repeated


@given(request=REQUESTS)
@settings(max_examples=30)
def test_labels_lie_in_the_simulation_and_name_their_lines(request: Request) -> None:
    """Every label is about an engine and a time that exist; the text of a spoilt line stands at its number."""
    data, labels = made(request)
    lines = data.decode().split("\n")
    last = request.instant_ns(request.steps - 1)
    for label in labels:
        assert request.start_ns <= label.start_ns <= label.end_ns <= last
        assert 1 <= int(label.asset.removeprefix("TRE-")) <= request.assets
        assert label.rows >= 1
        if label.line is not None:
            assert lines[label.line - 1] == label.text
            assert (label.check is None) == (label.fate == "duplicate")
    numbers = [label.line for label in labels if label.line is not None]
    assert len(set(numbers)) == len(numbers)


@given(way=st.sampled_from([way for way in DIRTY if way != "duplicate"]), draw=st.floats(0, 1, exclude_max=True))
def test_a_spoilt_line_is_never_a_sound_one(way: str, draw: float) -> None:
    """Wherever it is cut and whatever is replaced, a spoilt line differs, stays one line and is not empty."""
    csv = "TRE-001,2026-03-01T00:00:00.000Z,1,steady,210.5,95.1,640.2,92.0"
    json = '{"engine_id":"TRE-001","event_time":"2026-03-01T00:00:00Z","chamber_pressure":1.0,"fuel_flow":0.0,"temperature":25.0,"performance_score":92.0}'
    for line in (csv, json):
        text = spoil(way, line, COLUMNS, draw)["text"]
        assert text
        assert text != line
        assert "\n" not in text
        if way == "truncated":
            assert line.startswith(text)
            assert text.count(",") < 7 if line == csv else not text.endswith("}")
