"""Simulated devices: two generations of messages, mixed as a fault file says."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import orjson

from hotfire.simulate.fleet import FIRST, SECOND, generate
from hotfire.simulate.model import FaultFile, Request

START_NS = 1_772_323_200_000_000_000


def messages(faults: str | FaultFile = "none", **more: Any) -> list[dict[str, Any]]:
    request = Request(START_NS, faults=faults, form="jsonl", **{"hours": 0.05, "assets": 6, **more})
    return [orjson.loads(line) for block in generate(request) for line in block.lines.splitlines()]


def mixed(**more: Any) -> FaultFile:
    return FaultFile("f.yaml", json.dumps({"faults": [{"kind": "v2", **more}]}))


def test_half_of_the_devices_are_of_the_second_generation() -> None:
    """A device keeps its generation, its place and its software."""
    found = messages()
    kinds = {one["device_id"]: set() for one in found}
    for one in found:
        kinds[one["device_id"]].add((one.get("schema_version"), one.get("firmware_version"), str(one.get("location"))))
    assert len(kinds) == 6
    assert {len(of) for of in kinds.values()} == {1}
    assert sum(version == 2 for of in kinds.values() for version, *_ in of) == 3


def test_messages_have_the_fields_of_their_generation() -> None:
    """The first has seven fields, the second five more, one of which holds two."""
    for one in messages():
        named = [*FIRST, "schema_version", "firmware_version", "signal_strength", "location", "status"]
        assert list(one) == (named if "schema_version" in one else list(FIRST))
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one["event_id"])


def test_cells_of_the_first_generation_are_empty() -> None:
    """In a table all messages have the same columns."""
    (block,) = generate(Request(START_NS, hours=0.01, assets=4, faults="none"))
    header, *rows = block.lines.decode().splitlines()
    assert tuple(header.split(",")) == SECOND
    assert {row.count(",") for row in rows} == {len(SECOND) - 1}
    assert {row.endswith(",,,,,,") for row in rows} == {True, False}


def test_a_fault_file_mixes_generations() -> None:
    """A share of all messages, of one device, or from a time on: as when its software is brought up to date."""
    shares = [sum("status" in one for one in messages(mixed(size=size))) / 1080 for size in (0, 0.3, 1)]
    assert shares[0] == 0
    assert 0.25 < shares[1] < 0.35
    assert shares[2] == 1
    first = next(one["device_id"] for one in messages() if "status" not in one)
    upgraded = [one for one in messages(mixed(asset=first, at="1 min")) if one["device_id"] == first]
    assert ["status" in one for one in upgraded] == [False] * 60 + [True] * 120


def test_generations_do_not_change_readings() -> None:
    """The same device reads the same, however it says it."""
    for old, new in zip(messages(mixed(size=0)), messages(mixed(size=1)), strict=True):
        assert {name: new[name] for name in FIRST} == old


def test_devices_send_at_instants_of_their_own() -> None:
    """No two of a few devices send together, and each keeps its place between two readings."""
    lags = {one["device_id"]: one["timestamp"][20:23] for one in messages()}
    assert len(set(lags.values())) == 6
    assert all(one["timestamp"][20:23] == lags[one["device_id"]] for one in messages())


def test_events_have_ids_of_their_own() -> None:
    """No id comes twice."""
    ids = [one["event_id"] for one in messages(assets=50)]
    assert len(ids) == len(set(ids)) == 9000


def test_a_day_is_warmest_once_and_batteries_drain() -> None:
    """Temperature swings by the day, and a charge goes down until it is filled up again."""
    found = messages(hours=48, rate_hz=0.01, assets=1, seed=3)
    temperatures = [one["temperature"] for one in found]
    assert 4 < max(temperatures) - min(temperatures) < 15
    steps = [later["battery"] - one["battery"] for one, later in pairwise(found)]
    assert sum(steps[place] > 50 for place in range(len(steps))) <= 1
    assert sorted(steps)[len(steps) // 2] < 0
