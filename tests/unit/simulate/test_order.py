"""Lines on their way: late, kept back, out of order or again, and labels that say which."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import orjson

from hotfire.simulate.fleet import generate
from hotfire.simulate.model import FaultFile, Label, Request

START_NS = 1_772_323_200_000_000_000  # 2026-03-01
SECOND_NS = 1_000_000_000


def made(*faults: dict[str, Any], assets: int = 3) -> tuple[list[dict[str, Any]], list[Label]]:
    """Two minutes of devices: their messages as they arrive, and the labels."""
    file = FaultFile("f.yaml", json.dumps({"faults": faults}))
    blocks = list(generate(Request(START_NS, hours=1 / 30, assets=assets, faults=file, form="jsonl")))
    messages = [orjson.loads(line) for block in blocks for line in block.lines.splitlines()]
    return messages, [label for block in blocks for label in block.labels]


def seconds(messages: Sequence[dict[str, Any]], device: str) -> list[int]:
    """Of one device, as they arrive: the second in which each was sent, from 0."""
    own = [one["timestamp"] for one in messages if one["device_id"] == device]
    return [int(text[14:16]) * 60 + int(text[17:19]) for text in own]


def test_without_faults_messages_come_in_order() -> None:
    """Each device sends once a second, and nothing is late."""
    messages, labels = made()
    assert [one["timestamp"] for one in messages] == sorted(one["timestamp"] for one in messages)
    assert seconds(messages, "device_0002") == list(range(120))
    assert labels == []


def test_late_messages_come_behind_newer_ones() -> None:
    """Those of five seconds come a minute later, among those of then, and are marked late."""
    messages, labels = made({"kind": "late", "asset": "device_0002", "at": 10, "for": 5, "size": 60})
    assert seconds(messages, "device_0001") == list(range(120))
    order = seconds(messages, "device_0002")
    assert order[8:12] == [8, 9, 15, 16]
    assert order[65:75] == [70, 10, 71, 11, 72, 12, 73, 13, 74, 14]
    assert [(label.fault, label.fate, label.asset) for label in labels] == [("late", "late", "device_0002")] * 5
    assert {label.text for label in labels} == {None}


def test_messages_that_come_after_the_end_come_last() -> None:
    """A delay beyond the end is cut short: nothing is lost."""
    messages, labels = made({"kind": "late", "at": 100, "for": 10, "size": "1 h"})
    assert len(messages) == 360
    assert seconds(messages[-30:], "device_0001") == list(range(100, 110))
    assert {label.fate for label in labels} == {"late"}


def test_an_outage_keeps_messages_back_in_order() -> None:
    """All of ten seconds come at once when it ends, before newer ones, so that none of them is late."""
    messages, labels = made(
        {"kind": "outage", "at": 20, "for": 10}, {"kind": "duplicate", "size": 1.0, "at": 20, "for": 10}
    )
    for number in range(1, 4):
        assert seconds(messages, f"device_{number:04d}") == list(range(120))
    assert [(label.fault, label.fate) for label in labels] == [("outage", None)] * 30
    blocks = generate(
        Request(
            START_NS,
            hours=1 / 30,
            assets=3,
            faults=FaultFile("f", '{"faults": [{"kind": "outage", "at": 20, "for": 10}]}'),
        )
    )
    due_s = [(due - START_NS) / SECOND_NS for block in blocks for due in block.due_ns.tolist()]
    assert not [due for due in due_s if 20 <= due < 29.9]
    assert due_s == sorted(due_s)


def test_messages_out_of_order_stray_a_few_readings() -> None:
    """Each comes one to five readings after its place, and is late where a newer one of its device came before."""
    messages, labels = made({"kind": "out_of_order", "size": 0.1})
    order = seconds(messages, "device_0003")
    assert sorted(order) == list(range(120))
    assert order != sorted(order)
    assert max(place - second for place, second in enumerate(order)) <= 5
    behind = sum(
        second < max(order[:place], default=-1)
        for number in range(1, 4)
        for order in [seconds(messages, f"device_{number:04d}")]
        for place, second in enumerate(order)
    )
    assert behind == sum(label.fate == "late" for label in labels) > 10


def test_a_window_concerns_its_asset_and_time_alone() -> None:
    """Every message of the window is repeated, and no other; the label has the whole line."""
    messages, labels = made({"kind": "duplicate", "size": 1, "asset": "device_0001", "at": 30, "for": 5})
    order = seconds(messages, "device_0001")
    assert {second for second in order if order.count(second) == 2} == set(range(30, 35))
    assert seconds(messages, "device_0002") == list(range(120))
    assert all(orjson.loads(label.text or "")["device_id"] == "device_0001" for label in labels)
