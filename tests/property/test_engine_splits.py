"""Where a batch ends means nothing: the same records give the same bits in batches of 1, 7, 997 and all at once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hotfire.contract.model import Check, Column, Contract, Lens
from hotfire.testing.sources import END, ListSource, Mark
from hotfire.testing.stand import Came, Stand, scratch

FIRST = Contract(
    stream="readings",
    version="1.0.0",
    kind="telemetry",
    columns=(
        Column("device", "string", required=True),
        Column("at", "timestamp", required=True),
        Column("part", "integer"),
        Column("count", "integer"),
        Column("temp_f", "number", required=True),
    ),
    asset="device",
    time="at",
    key=("part",),
    counter="count",
)
SECOND = replace(
    FIRST,
    version="2.0.0",
    columns=(
        *FIRST.columns[:4],
        Column(
            *("temperature", "number"),
            unit="degC",
            minimum=-40,
            maximum=80,
            out_of_range="clamp",
            coerce=True,
            limits={
                "warning": {"high": 30, "low": 22},
                "critical": {"high": 60},
                "deadband": 1,
                "min_violations": 2,
                "off_delay": "3 s",
                "context": [{"when": "mode = 'off'", "critical": {"high": 40}}],
            },
        ),
        Column("humidity", "number", minimum=0, maximum=100, out_of_range="null"),
        Column("mode", "string", values=("on", "off")),
    ),
    checks=(Check("dry_when_off", "mode <> 'off' or humidity < 50"),),
    lens=Lens(1, "temp_f is not null", {"temperature": "(temp_f - 32) / 1.8", "mode": "'on'"}),
    older=(FIRST,),
    hash="readings 2",
)
RULES = """
stream: readings
version: 1
rules:
  - {name: half_dry, detector: expression, when: humidity < 41 or temperature > 70, for: 1 s, while: mode = 'on', settle: 2 s}
"""
DAY = "2026-05-01T"


def sound(number: int) -> dict[str, Any]:
    """A record of the newer version; devices send about once a second, a little out of step."""
    seconds = number * 7 // 4
    return {
        "device": f"device_{number % 4}",
        "at": f"{DAY}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{number % 3}Z",
        "count": number // 4,
        "temperature": 20 + number % 200 / 3,
        "humidity": 40.0,
        "mode": "on",
    }


def altered(chance: random.Random, number: int, sent: Sequence[dict[str, Any] | bytes]) -> dict[str, Any] | bytes:
    """The next record: sound, of the older version, or spoiled in one of many ways."""
    row = sound(number)
    older = {name: row[name] for name in ("device", "at", "count")} | {"temp_f": number / 3}
    old = chance.choice(sent) if sent else row
    changed = {**old, "humidity": 41.5} if isinstance(old, dict) else b"\xff\xfe"
    return chance.choice(
        [
            *[row] * 6,
            *[older] * 4,
            *[old] * 2,
            changed,
            {**row, "part": 1},
            {**row, "at": f"{DAY}00:00:0{number % 10}Z"},
            {**row, "count": number},
            {**row, "count": None},
            {**row, "temperature": -0.0},
            {**row, "temperature": 5e-324},
            {**row, "temperature": 1e300},
            {**row, "temperature": "21.5"},
            {**row, "humidity": -1},
            {**row, "mode": "off", "humidity": 60},
            {**row, "at": "2026-05-01T00:00:00"},
            {**row, "at": "2096-05-01T00:00:00Z"},
            {**row, "extra": {"deep": [number]}},
            {**row, "mode": None},
            {**row, "device": None},
            {**older, "temperature": 3.5},
            b'{"device": "device_1", ',
        ]
    )


def mix(seed: int, rows: int) -> list[dict[str, Any] | bytes]:
    """Records of two versions, four assets, duplicates near and far, conflicts, late and bad rows."""
    chance, sent = random.Random(seed), []
    for number in range(rows):
        sent.append(altered(chance, number, sent))
    return sent


def came(items: Sequence[dict[str, Any] | bytes | Mark], batch: int, runs: int = 1) -> Came:
    with scratch() as folder:
        stand, source = Stand(folder, SECOND, rules={"rules/a.yaml": RULES}), ListSource(items, batch)
        for _ in range(runs):
            stand.run(source)
        assert stand.balance(source).differences == []
        return stand.came()


@pytest.fixture(scope="module")
def long() -> tuple[list[dict[str, Any] | bytes], Came]:
    items = mix(seed=7, rows=1050)
    return items, came(items, 10_000)


def test_the_long_mix_shows_everything(long: tuple[list[dict[str, Any] | bytes], Came]) -> None:
    """What the splits are compared on holds every fate, mark and kind of fault, and gaps."""
    seen = {word for fate in long[1].fates.values() for word in fate}
    assert {"stored", "late", "corrected", "duplicate", "key.conflict", "at.ahead", "at.time", "row.parse"} <= seen
    assert {"temperature.range", "humidity.range", "temperature.type"} <= {one[2] for one in long[1].corrections}
    assert all(gaps for _, _, _, gaps, _ in long[1].assets)
    assert {kind for *_, kind in long[1].findings} == {"level", "late", "range"}
    assert {one[0] for one in long[1].conditions} == {"temperature.limit", "half_dry"}
    assert {one[-1] is None for one in long[1].conditions} == {True, False}
    assert {one[1] for one in long[1].alarms} == {"temperature.limit", "half_dry"}


@pytest.mark.parametrize("batch", [1, 7, 997])
def test_a_long_stream_may_be_cut_anywhere(long: tuple[list[dict[str, Any] | bytes], Came], batch: int) -> None:
    """Digest, fates, late marks, clocks, gaps, corrections and the lake are the same in batches of any size."""
    items, whole = long
    assert came(items, batch) == whole


@given(st.integers(0, 2**32), st.integers(1, 60), st.sampled_from([1, 2, 7]), st.lists(st.integers(0, 60), max_size=3))
@settings(max_examples=10)
def test_any_stream_may_be_cut_and_stopped_anywhere(seed: int, rows: int, batch: int, stops: list[int]) -> None:
    """The same for other mixes, with processes that end and begin again between batches."""
    items: list[dict[str, Any] | bytes | Mark] = list(mix(seed, rows))
    whole = came(items, 10_000)
    for at in sorted(stops, reverse=True):
        items.insert(min(at, rows), END)
    assert came(items, batch, runs=len(stops) + 1) == whole


@given(st.integers(0, 2**32))
@settings(max_examples=6)
def test_a_second_copy_of_everything_changes_nothing(seed: int) -> None:
    """Sent twice, each record that was stored is a duplicate, each that was rejected is rejected again."""
    items = mix(seed, 40)
    once, twice = came(items, 9), came([*items, *items], 9)
    again = {number - 40: fate for number, fate in twice.fates.items() if number >= 40}
    assert {number: fate for number, fate in twice.fates.items() if number < 40} == once.fates
    assert twice.lake == once.lake
    for number, fate in once.fates.items():
        assert again[number] == (fate if fate[0] == "open" else ("duplicate",))


def test_a_backfill_into_an_empty_workspace_is_the_same(long: tuple[list[dict[str, Any] | bytes], Came]) -> None:
    """Rows, findings and conditions are those of a stream that came live, and a replay gives them again."""
    items, whole = long
    with scratch() as folder:
        stand = Stand(folder, SECOND, rules={"rules/a.yaml": RULES})
        stand.backfill(lambda: ListSource(items, 53))
        assert stand.replay().equal
        assert (stand.came().conditions, stand.digest()) == (whole.conditions, whole.digest)
