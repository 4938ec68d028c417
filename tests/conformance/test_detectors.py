"""Every detector passes the suite that ships with hotfire, under several rules."""

from __future__ import annotations

import pytest

from hotfire.detect import DETECTORS
from hotfire.protocols import Detector
from hotfire.testing.detector_suite import DetectorSuite, detector_of

RULES = {
    "limit": [
        "channel: pressure, warning: {high: 1.2}",
        "channel: pressure, warning: {high: 1.2}, critical: {low: 0.2, high: 3}, deadband: 0.4",
        "channel: pressure, watch: {low: 0.7}, severe: {high: 2}, min_violations: 3, on_delay: 1 s, off_delay: 500 ms",
        "channels: [pressure, inlet_pressure], warning: {high: 1}, while: phase = 'steady', settle: 500 ms",
        "channel: temperature, warning: {high: 1}, context: [{when: phase = 'standby', critical: {low: 0}}], deadband: 0.1",
        "channel: valve, critical: {low: 0}, message: '{asset} {at}: {phase} {pressure}', while: pressure > 0.6",
    ],
    "rate_of_change": [
        "channel: pressure, warning: {high: 3}, critical: {low: -2}",
        "channel: pressure, warning: {high: 3}, over: 1 s",
        "channel: pressure, warning: {high: 0.5}, over: 1 ns, min_violations: 2",
        "channel: temperature, unit: K/min, watch: {low: -1}, warning: {high: 30}, over: 750 ms, deadband: 3, off_delay: 1 s",
        "channels: [pressure, inlet_pressure], warning: {high: 0.5}, over: 2 s, while: phase = 'steady', settle: 300 ms",
        "channel: temperature, warning: {low: -0.001, high: 0.001}, unit: degC/day, over: 90 d",
    ],
    "stuck": [
        "channel: pressure, for: 1 s, min_rows: 3",
        "channel: pressure, for: 750 ms, min_rows: 2, tolerance: 0.6",
        "channels: [pressure, inlet_pressure], siblings: [pressure, inlet_pressure], for: 1 s, min_rows: 3, tolerance: 0.5",
        "channel: temperature, siblings: [pressure, valve], for: 2 s, min_rows: 2, while: phase = 'steady'",
        "channel: valve, for: 1 min, while: phase = 'steady' or pressure > 2, settle: 1 s, min_rows: 2",
    ],
    "no_data": [
        "timeout: 400 ms",
        "timeout: 30 s, while: phase = 'steady', severity: critical",
        "timeout: 200 ms, while: phase = 'steady', settle: 500 ms",
        "channel: pressure, timeout: 500 ms",
        "channels: [pressure, temperature, valve], timeout: 1 s, while: phase = 'steady', settle: 250 ms",
    ],
    "expression": [
        "when: phase = 'steady' and pressure < 0.7",
        "when: pressure > inlet_pressure, for: 500 ms, channel: pressure, severity: severe",
        "when: temperature / 3 > pressure, min_violations: 2, off_delay: 300 ms, while: phase <> 'standby', settle: 1 s",
    ],
}
EVERY = [
    pytest.param((name, keys), id=f"{name}-{number}")
    for name, texts in RULES.items()
    for number, keys in enumerate(texts)
]


class TestDetectors(DetectorSuite):
    """Each detector, with rules that use all of its keys."""

    @pytest.fixture(params=EVERY)
    def detector(self, request: pytest.FixtureRequest) -> Detector:
        name, keys = request.param
        return detector_of(name, keys)


def test_every_detector_is_tried() -> None:
    """No detector ships without rules that try it."""
    assert {*RULES} == {*DETECTORS}
