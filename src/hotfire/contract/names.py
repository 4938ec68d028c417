"""What the name of a channel says about its unit and its possible readings."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hotfire import units
from hotfire.errors import UserError

if TYPE_CHECKING:
    import polars as pl

_ENDINGS: Mapping[str, str] = {
    "degc": "degC", "celsius": "degC", "degf": "degF", "fahrenheit": "degF", "kelvin": "K", "degr": "degR", "degk": "K",
    "bar": "bar", "mbar": "mbar", "pa": "Pa", "kpa": "kPa", "mpa": "MPa", "hpa": "hPa", "psi": "psi", "psia": "psia",
    "kg": "kg", "kg_s": "kg/s", "kgs": "kg/s", "g_s": "g/s", "lbm_s": "lbm/s", "lb_s": "lbm/s", "pps": "pps",
    "mm": "mm", "cm": "cm", "km": "km", "um": "um", "meters": "m", "m_s": "m/s", "mps": "m/s", "ms2": "m/s^2",
    "m_s2": "m/s^2", "km_h": "km/h", "kph": "km/h", "mph": "mph", "rpm": "rpm", "hz": "Hz", "khz": "kHz",
    "pct": "%", "percent": "%", "ppm": "ppm", "ppb": "ppb", "volt": "V", "volts": "V", "mv": "mV", "kv": "kV",
    "amp": "A", "amps": "A", "ma": "mA", "watt": "W", "watts": "W", "kw": "kW", "mw": "mW", "kwh": "kWh", "wh": "Wh",
    "deg": "deg", "rad": "rad", "rad_s": "rad/s", "deg_s": "deg/s", "seconds": "s", "sec": "s", "ms": "ms", "us": "us",
    "feet": "ft", "ft": "ft", "lb": "lb", "lbs": "lb", "kmh": "km/h", "minutes": "min", "hours": "h", "l_min": "L/min", "lpm": "L/min", "gpm": "gpm", "cfm": "cfm", "kn": "kN",
    "newton": "N", "newtons": "N", "lbf": "lbf", "nm": "N*m", "lux": "lx", "lx": "lx", "db": "dB", "dbm": "dBm",
}  # fmt: skip

_WORDS: Mapping[str, str] = {
    "temp": "degC", "temperature": "degC", "humidity": "%", "battery": "%", "soc": "%", "voltage": "V", "current": "A",
    "rssi": "dBm", "power": "W", "frequency": "Hz", "lat": "deg", "latitude": "deg", "lon": "deg", "lng": "deg", "longitude": "deg",
}  # fmt: skip

_NATURAL: Mapping[str, tuple[float, float]] = {
    "lat": (-90, 90),
    "latitude": (-90, 90),
    "lon": (-180, 180),
    "lng": (-180, 180),
    "longitude": (-180, 180),
}
"""Of angles; the others are known by their unit."""

_LETTERS: Mapping[str, tuple[str, ...]] = {
    "K": ("temp", "temperature", "egt", "cht"),
    "V": ("voltage", "volt", "volts", "supply", "battery"),
    "A": ("current",),
    "W": ("power",),
    "N": ("force", "thrust", "load"),
}
"""Units of one letter, and what else the name has to say: `phase_A` is no current."""


_SPELLED = re.compile(
    r"(?<![A-Za-z])(kN|kPa|MPa|hPa|mA|mV|kV|kW|mW|kWh|Wh|kHz|Hz|Pa|degC|degF|dBm|dB|Nm|mbar)(?![A-Za-z])"
)
_SIGNED = (
    "degC",
    "degF",
    "V",
    "mV",
    "kV",
    "A",
    "mA",
    "W",
    "kW",
    "m/s",
    "m/s^2",
    "deg",
    "rad",
    "rad/s",
    "deg/s",
    "N",
    "kN",
)
_SIGNED_TOO = ("lbf", "N*m", "dB", "dBm")
_LOWEST: Mapping[str, float] = {**dict.fromkeys((*_SIGNED, *_SIGNED_TOO), -math.inf), "degC": -273.15, "degF": -459.67}
"""The least reading a unit allows; 0 for all others."""


def spelled_unit(path: str) -> str:
    """The path with units as words of their own: `thrust.kN` is no `k_n`."""
    return _SPELLED.sub(lambda found: found[1].lower(), path)


def is_unit(text: str) -> bool:
    """Whether a text names a unit: `bar`, `degC`, but no bare number."""
    return not re.search(r"[0-9]", text) and _known(text)


def lowest(unit: str | None) -> float:
    """The least possible reading in a unit, for channels whose sample stays above it: pressures, masses, counts."""
    return _LOWEST.get(unit or "", 0.0)


def unit_of(path: str, name: str, numbers: pl.Series) -> tuple[str, str] | None:
    """A unit and why it is believed: brackets in the header, the end of the name, a word in it."""
    bracketed = re.search(r"[\[(]([^\])]{1,20})[\])]", path)
    if bracketed and _known(bracketed[1].strip()):
        return bracketed[1].strip(), "the header says so"
    if re.search(r"(^|[^A-Za-z])MW$", path):
        return "MW", "the name ends in MW"
    words = name.split("_")
    letter = path[-1:]
    if re.search(r"[^A-Za-z][A-Z]$", path) and {*words} & {*_LETTERS.get(letter, ())}:
        return letter, f"the name ends in {letter}"
    for size in (2, 1):
        ending = "_".join(words[-size:])
        if ending in _ENDINGS and (len(words) > size or len(ending) > 2):
            return _ENDINGS[ending], f"the name ends in {ending}"
    if words[-1] in ("c", "f") and any(word.startswith("temp") for word in words):
        return f"deg{words[-1].upper()}", f"a temperature that ends in {words[-1]}"
    return _usual_unit(words, numbers)


def _usual_unit(words: list[str], numbers: pl.Series) -> tuple[str, str] | None:
    word = next((word for word in reversed(words) if word in _WORDS), None)
    if word is None:
        near_air = "pressure" in words and len(numbers) > 0 and 800 <= float(numbers.median() or 0) <= 1100  # type: ignore[arg-type]
        return ("hPa", "a pressure near 1000") if near_air else None
    if _WORDS[word] == "%" and len(numbers):
        usual = float(numbers.quantile(0.99) or 0)
        if usual <= 1:
            return "ratio", f"{word} between 0 and 1"
        if word == "battery" and usual < 20:  # as many volts as percent
            return None
    return _WORDS[word], f"the usual unit of {word}"


def natural_range(name: str, unit: str | None) -> tuple[float, float] | None:
    """The readings that a quantity can have at all; None where that is not known."""
    if unit in ("%", "percent"):
        return 0.0, 100.0
    if unit == "ratio":
        return 0.0, 1.0
    word = next((word for word in name.split("_") if word in _NATURAL), None)
    return _NATURAL[word] if word and unit == "deg" else None


def _known(unit: str) -> bool:
    try:
        units.parse(unit)
    except UserError:
        return False
    return True
