"""Units: known by name, converted exactly, refused where they do not measure the same thing."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotfire import units
from hotfire.errors import UserError

names = st.sampled_from(units.COMMON)


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (1, "bar", "kPa", 100.0),
        (25, "degC", "K", 298.15),
        (212, "degF", "degC", 100.0),
        (518.67, "degR", "degF", 59.0),
        (14.696, "psia", "psi", 14.696),
        (1, "lbm/s", "kg/s", 0.45359237),
        (1, "pps", "lbm/s", 1.0),
        (50, "%", "ratio", 0.5),
        (3, "ppm", "ppb", 3000.0),
        (60, "rpm", "rev/s", 1.0),
        (100, "rpm", "deg/s", 600.0),
        (30, "degC/min", "K/s", 0.5),
        (1, "kg*m/s^2", "N", 1.0),
        (1, "byte", "bit", 8.0),
        (math.inf, "bar", "Pa", math.inf),
    ],
)
def test_conversions(value: float, source: str, target: str, expected: float) -> None:
    """A value in one unit is exactly one value in another."""
    assert units.convert(value, source, target) == expected


@pytest.mark.parametrize(
    ("source", "target"),
    [("bar", "m"), ("rpm", "Hz"), ("deg", "ratio"), ("byte", "count"), ("dBm", "W"), ("degC", "bar"), ("kg", "lbf")],
)
def test_what_does_not_measure_the_same(source: str, target: str) -> None:
    """Units of different things are never converted, nor are logarithmic ones."""
    with pytest.raises(UserError, match=f"{source} cannot be converted to {target}"):
        units.convert(1, source, target)


@pytest.mark.parametrize(
    ("unit", "suggestion"),
    [
        ("Bar", "`bar`"),
        ("KPA", "`kPa`"),
        ("kgs", "`kg/s`"),
        ("Celsius", "`celsius`"),
        ("C", "`degC`"),
        ("psig", "psi"),
        ("%RH", ""),
        ("kg//s", ""),
        ("9**9**9", ""),
        ("", ""),
        ("m*", ""),
        ("a" * 500, ""),
    ],
)
def test_what_is_no_unit(unit: str, suggestion: str) -> None:
    """A name that is unknown, or means two things, is refused with what to write."""
    with pytest.raises(UserError) as caught:
        units.parse(unit)
    assert suggestion in caught.value.do


@pytest.mark.parametrize(
    ("unit", "other"),
    [
        ("degC", "°C"),
        ("kg/s", "kg*s^-1"),
        ("m/s2", "m/s²"),
        ("m/s^2", "m/s**2"),
        ("%", "pct"),
        ("lbm", "lb"),
        ("psia", "psi"),
        ("N*m", "Nm"),
    ],
)
def test_spellings(unit: str, other: str) -> None:
    """Two spellings of one unit have one canonical name."""
    assert units.parse(unit) == units.parse(other)


@given(names)
def test_canonical_names_are_stable(unit: str) -> None:
    """The canonical name of a unit is a unit, and its own canonical name."""
    assert units.parse(units.parse(unit)) == units.parse(unit)


@given(names, names, st.floats(-1e6, 1e6))
def test_there_and_back(source: str, target: str, value: float) -> None:
    """A value converted there and back is itself, up to the rounding of two floats."""
    try:
        there, back = units.conversion(source, target), units.conversion(target, source)
    except UserError:
        return
    assert there.factor * back.factor == 1
    assert back.offset == -there.offset * back.factor
    assert math.isclose(back(there(value)), value, rel_tol=1e-12, abs_tol=1e-9)


@given(st.text(max_size=12))
def test_any_text_is_a_unit_or_refused(text: str) -> None:
    """Whatever is written, it is a unit or a user's mistake."""
    try:
        canonical = units.parse(text)
    except UserError:
        return
    assert canonical
