"""Units of measurement: their names checked, and values converted, when contracts and rules are loaded.

Factors come from pint as exact fractions; a conversion is rounded once, when it meets the value. Stricter than pint
where it would surprise: turns, angles and bits are dimensions of their own (60 rpm is not 6.28 Hz), a name that means
two things to two people (`C`, `psig`) is refused, and names that pint would take apart (`cfm` as centi-fermi) are read
as people mean them.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from hotfire.errors import UserError

if TYPE_CHECKING:
    import pint

ALIASES: Mapping[str, str] = {
    "1": "dimensionless",
    "ratio": "dimensionless",
    "fraction": "dimensionless",
    "pct": "percent",
    "cycle": "count",
    "cycles": "count",
    "rev": "revolution",
    "lbm": "pound",
    "pps": "pound/second",
    "psia": "psi",
    "psid": "psi",
    "bara": "bar",
    "Nm": "newton*meter",
    "gpm": "gallon/minute",
    "lpm": "liter/minute",
    "cfm": "foot^3/minute",
    "m/s2": "meter/second^2",
    "℃": "degC",
    "℉": "degF",
    "°R": "degR",
    "var": "volt*ampere",
}
"""Names that pint does not know, or would misread."""

AMBIGUOUS: Mapping[str, str] = {
    "C": "write `degC`, or `coulomb`",
    "F": "write `degF`, or `farad`",
    "R": "write `degR`, or `molar_gas_constant`",
    "k": "write `K` for kelvin",
    "pH": "leave the unit out: pH is a number without a unit",
    "psig": "gauge pressure depends on the weather: record `psi` and say so in the description",
    "barg": "gauge pressure depends on the weather: record `bar` and say so in the description",
    "e": "write `elementary_charge`",
}
"""Names that are refused, and what to write."""

COMMON = [
    "bar",
    "mbar",
    "Pa",
    "kPa",
    "MPa",
    "hPa",
    "psi",
    "psia",
    "degC",
    "degF",
    "K",
    "degR",
    "kg",
    "g",
    "lb",
    "lbm",
    "t",
    "m",
    "mm",
    "um",
    "km",
    "in",
    "ft",
    "s",
    "ms",
    "us",
    "min",
    "h",
    "d",
    "kg/s",
    "g/s",
    "lbm/s",
    "m/s",
    "km/h",
    "mph",
    "kn",
    "m/s^2",
    "N",
    "kN",
    "lbf",
    "N*m",
    "lbf*ft",
    "rpm",
    "Hz",
    "kHz",
    "rad/s",
    "deg",
    "rad",
    "V",
    "mV",
    "kV",
    "A",
    "mA",
    "W",
    "kW",
    "MW",
    "Wh",
    "kWh",
    "Ah",
    "mAh",
    "J",
    "kJ",
    "ohm",
    "percent",
    "%",
    "ppm",
    "ppb",
    "ratio",
    "count",
    "cycle",
    "L",
    "L/min",
    "m^3",
    "m^3/s",
    "gpm",
    "cfm",
    "dB",
    "dBm",
    "lx",
    "lux",
    "T",
    "byte",
    "kB",
    "MB",
    "bit",
    "bit/s",
    "mol",
    "volt",
    "ampere",
    "watt",
    "celsius",
    "kelvin",
]
"""What suggestions are taken from."""

_FACTOR = re.compile(
    r"([*/·. ]*)(%|(?:[^\W\d]|[°℃℉])[^\W\d]*(?:_[0-9])?)(?:(?:\^|\*\*)?(-?[1-9])|([²³]))?(?=[*/·. ]|$)"
)
_OWN_KINDS = {"radian": "angle", "bit": "information"}


class Conversion(Struct, frozen=True):
    """`value * factor + offset`, exact until it is rounded to float64 once."""

    factor: Fraction
    offset: Fraction

    def __call__(self, value: float) -> float:
        """The value in the other unit; of a float, its shortest decimal: 518.67 degR is 59 degF."""
        if not math.isfinite(value):
            return value
        return float(Fraction(repr(value)) * self.factor + self.offset)


def parse(unit: str) -> str:
    """The unit's canonical name: equal for two spellings of one unit, and itself a spelling of it.

    Raises:
        UserError: no such unit, with a suggestion.
    """
    powers = _powers(_units(unit))
    above = "*".join(_power(name, power) for name, power in sorted(powers.items()) if power > 0)
    below = "".join(f"/{_power(name, -power)}" for name, power in sorted(powers.items()) if power < 0)
    return (above or ("1" if below else "dimensionless")) + below


def conversion(source: str, target: str) -> Conversion:
    """How values in one unit become values in another.

    Raises:
        UserError: an unknown unit, or two that do not measure the same thing.
    """
    here, there = _units(source), _units(target)
    if _kinds(here) != _kinds(there):
        raise UserError(f"{source} cannot be converted to {target}", "they do not measure the same thing")
    if here == there:
        return Conversion(Fraction(1), Fraction(0))
    registry = _registry()
    try:
        zero = registry.Quantity(Fraction(0), here).to(there).magnitude
        one = registry.Quantity(Fraction(1), here).to(there).magnitude
        return Conversion(Fraction(one) - Fraction(zero), Fraction(zero))
    except (ValueError, TypeError, ArithmeticError, AttributeError) as error:
        raise UserError(f"{source} cannot be converted to {target}: {error}", "use units on a linear scale") from error


def convert(value: float, source: str, target: str) -> float:
    """A value in another unit: `convert(25, "degC", "K")` is 298.15. Raises UserError as `conversion`."""
    return conversion(source, target)(value)


@cache
def _registry() -> pint.UnitRegistry[Any]:
    import pint

    registry: pint.UnitRegistry[Any] = pint.UnitRegistry(non_int_type=Fraction)
    registry.define("ppb = 1e-9")
    return registry


@cache
def _units(unit: str) -> pint.Unit:
    if unit in AMBIGUOUS:
        raise UserError(f"the unit `{unit}` means two things, or none", AMBIGUOUS[unit])
    text = ALIASES.get(unit, unit)
    text = f"dimensionless{text[1:]}" if text.startswith("1/") else text
    whole, at = _registry().Unit("dimensionless"), 0
    while at < len(text):
        found = _FACTOR.match(text, at)
        if found is None or (at > 0) != bool(found[1]) or len(text) > 60:
            raise _no_such_unit(unit)
        separator = found[1].strip()
        if separator not in ("", "*", "/", "·", "."):
            raise _no_such_unit(unit)
        power = int(found[3] or {"²": 2, "³": 3}.get(found[4], 1))
        factor = _name(found[2], unit) ** power
        whole = whole / factor if separator == "/" else whole * factor
        at = found.end()
    if not text:
        raise _no_such_unit(unit)
    powers = _powers(whole)
    if powers in ({"degree_Celsius": 1}, {"degree_Fahrenheit": 1}):
        return whole
    differences = {name: f"delta_{name}" for name in ("degree_Celsius", "degree_Fahrenheit")}
    return _registry().Unit(
        _registry().UnitsContainer({differences.get(name, name): power for name, power in powers.items()})
    )


def _name(name: str, unit: str) -> Any:
    import pint

    if name in AMBIGUOUS:
        raise UserError(f"the unit `{name}` means two things, or none", AMBIGUOUS[name])
    if name in ALIASES:
        return _units(ALIASES[name])
    try:
        return _registry().parse_units(name)
    except (pint.errors.PintError, AssertionError, ValueError) as error:
        raise _no_such_unit(unit) from error


def _no_such_unit(unit: str) -> UserError:
    folded = {name.casefold(): name for name in reversed(COMMON)}
    near = difflib.get_close_matches(unit.casefold(), folded, n=1, cutoff=0.5)
    hint = f"did you mean `{folded[near[0]]}`?" if near else "write it as `kg/s`, `m/s^2` or `degC`"
    return UserError(f"there is no unit `{unit}`", hint)


def _kinds(unit: pint.Unit) -> tuple[object, ...]:
    """What a unit measures; angles and information count, though physics calls them dimensionless."""
    own: dict[str, Fraction] = {}
    for name, power in _powers(unit).items():
        for root, root_power in _powers(_registry().get_root_units(name)[1]).items():
            if root in _OWN_KINDS:
                own[_OWN_KINDS[root]] = own.get(_OWN_KINDS[root], Fraction(0)) + power * root_power
    return (dict(unit.dimensionality), {kind: power for kind, power in own.items() if power})


def _powers(unit: Any) -> dict[str, Fraction]:
    units = unit._units.items()  # noqa: SLF001 - pint's public form is a text
    return {str(name): Fraction(power) for name, power in units if power}


def _power(name: str, power: Fraction) -> str:
    return name if power == 1 else f"{name}^{power}"
