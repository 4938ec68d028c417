"""Expressions: the example of the docstring, three-valued logic, and late rows."""

from __future__ import annotations

from hypothesis import given, settings

from hotfire.detect.model import Delays
from hotfire.testing.detector_suite import Row, detector_of, readings, seen, streams
from hotfire.testing.plainly import Told, by_asset, told, turns

QUARTER = 250_000_000


def rows_of(values: list[float | None], phase: str | None = "steady") -> list[Row]:
    return [("TRE-001", n * QUARTER, 0, phase, value, None, None, None) for n, value in enumerate(values)]


def test_the_example() -> None:
    """True from the second row on; the null says nothing; raised 750 ms later at the fifth; over at the sixth."""
    keys = "when: phase = 'steady' and pressure < 70, for: 500 ms, channel: pressure, severity: critical"
    raised, returned = detector_of("expression", keys).step({}, readings(rows_of([90, 68, 66, None, 64, 71])))
    assert (raised.at_ns, raised.severity, raised.value, raised.limit) == (4 * QUARTER, "critical", 64.0, None)
    assert raised.message == "TRE-001: phase = 'steady' and pressure < 70, pressure is 64 bar (critical)"
    assert (returned.at_ns, returned.severity, returned.value) == (5 * QUARTER, None, 71.0)


def test_without_a_channel_the_asset_is_meant() -> None:
    """The finding has neither channel nor value; the message may show any column, instants as people read them."""
    keys = """when: pressure < 70, message: "{asset} {phase} at {at}: {pressure} {value} {{{rule}}}" """
    (found,) = detector_of("expression", keys).step({}, readings(rows_of([66])))
    assert (found.channel, found.value) == ("", None)
    assert found.message == "TRE-001 steady at 1970-01-01T00:00:00.000Z: 66 - {tried}"


def test_braces_in_sql_are_braces_in_the_message() -> None:
    """A condition that has braces is shown with them."""
    (found,) = detector_of("expression", "when: \"phase <> '{x}'\"").step({}, readings(rows_of([1])))
    assert found.message == "TRE-001: phase <> '{x}' (warning)"


def test_false_in_part_is_false() -> None:
    """`null and false` is false: the row says that all is well, though its pressure is unknown."""
    rows = [*rows_of([60]), ("TRE-001", QUARTER, 1, "standby", None, None, None, None)]
    found = detector_of("expression", "when: phase = 'steady' and pressure < 70").step({}, readings(rows))
    assert [one.severity for one in found] == ["warning", None]


def test_late_rows() -> None:
    """Every late row of which it is true is told, where the rule holds."""
    rows = rows_of([60, 90, None]) + rows_of([60], "standby") + rows_of([60], None)
    keys = "when: pressure < 70, while: phase = 'steady', settle: 1 h, min_violations: 5"
    assert len(detector_of("expression", keys).bare(readings(rows))) == 1


@settings(max_examples=100)
@given(rows=streams())
def test_every_row_judged_plainly(rows: list[Row]) -> None:
    """Row by row, with delays."""
    keys = "when: pressure > inlet_pressure or valve > 1, min_violations: 2, on_delay: 300 ms, off_delay: 600 ms"
    found = seen(detector_of("expression", keys), rows, [])[0]
    expected: dict[str, list[Told]] = {}
    for asset, own in by_asset(rows).items():
        said = []
        for one in own:
            higher = (
                None if None in (one["pressure"], one["inlet_pressure"]) else one["pressure"] > one["inlet_pressure"]
            )
            is_open = None if one["valve"] is None else one["valve"] > 1
            if higher or is_open:
                said.append((one["at"], [1]))
            elif higher is False and is_open is False:
                said.append((one["at"], [-1]))
        expected[asset] = list(turns((asset, ""), ("warning",), Delays(2, 300_000_000, 600_000_000), said))
    assert {asset: told(own) for asset, own in found.items()} == expected
