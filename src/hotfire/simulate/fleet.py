"""Stream `events`: devices in the field, whose messages come in two generations."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from hotfire.simulate.dirt import Columns, Lines, covered
from hotfire.simulate.fault_file import plan
from hotfire.simulate.faults import Catalogue, Fault, Plan, given_to
from hotfire.simulate.model import Blocks, Form, Label, Request
from hotfire.simulate.order import Chunk, assemble
from hotfire.simulate.sensors import Sensors, by_chance, sensor_kinds
from hotfire.simulate.writing import as_lines, decimals, written

Floats = NDArray[np.float64]

FIRST = ("event_id", "device_id", "timestamp", "temperature", "humidity", "pressure", "battery")
"""The fields of a message of the first generation."""
SECOND = (*FIRST, "schema_version", "firmware_version", "signal_strength", "location.lat", "location.lon", "status")
"""Those of the second generation."""

CHANNELS = ("temperature", "humidity", "pressure", "battery")
KINDS = sensor_kinds({"temperature": 2.0, "humidity": 5.0, "pressure": 4.0, "battery": 4.0})
SHARES = {
    "not_a_number": 0.003,
    "missing_zone": 0.0005,
    "out_of_range": 0.01,
    "truncated": 0.002,
    "wrong_fields": 0.005,
    "duplicate": 0.01,
    "out_of_order": 0.01,
}
"""What befalls messages unless something else is asked for."""

STATUS = ("ok", "degraded", "maintenance", "low_battery")

COLUMNS = Columns(SECOND, "timestamp", CHANNELS, out_of_range="quarantined")
"""The fields of a line."""

_LEAST, _MOST = (-39.0, 0.0, 905.0, 0.0), (79.0, 100.0, 1095.0, 100.0)
_NOISE = (0.15, 0.6, 0.1, 0.05)
_DAY_S, _WEATHER_S = 86_400.0, 302_400.0
_DEVICES, _READINGS, _IDS, _GENERATIONS = 7, 8, 9, 10


def generate(request: Request) -> Blocks:
    """Messages of device_0001, device_0002 ..., in order of time, each instant of `rate_hz` with one of each device.

    Half of the devices are of the second generation; where a fault file says `v2`, that share of the messages is.
    Devices do not send at the same instant: each has its own place between two readings.

    Raises:
        UserError: for faults that cannot be.
    """
    names = [f"device_{number:04d}" for number in range(1, request.assets + 1)]
    wanted = plan(request.faults, Catalogue(KINDS, (*SHARES, "malformed", "late", "outage", "v2"), names, SHARES))
    return assemble(_chunks(request, wanted, names), wanted, COLUMNS, request)


class _Devices(Struct, frozen=True):
    """The devices, in the order in which they send. Arrays have one entry a device.

    Attributes:
        index: the device's number, from 0.
        lag_ns: how long after the instant of a reading it sends.
        mean, swing, phase: of the day's temperature: degC, degC, share of a day.
        damp, low: of humidity in % and pressure in hPa: distance from the usual.
        charged_s: how long a charge of the battery lasts.
    """

    index: NDArray[np.int64]
    lag_ns: NDArray[np.int64]
    mean: Floats
    swing: Floats
    phase: Floats
    damp: Floats
    low: Floats
    charged_s: Floats
    signal: Floats
    lat: Floats
    lon: Floats
    firmware: pl.Series
    second: NDArray[np.bool_]


def _devices(request: Request) -> _Devices:
    rng, size = np.random.default_rng([request.seed, _DEVICES]), request.assets
    unit_ns = 1_000_000 if decimals(request) == 3 else 1
    period = request.instant_ns(1) - request.start_ns
    lag_ns = np.floor(rng.random(size) * period / unit_ns).astype(np.int64) * unit_ns
    order = np.argsort(lag_ns, kind="stable")
    version = rng.integers(0, 8, (size, 2))
    drawn = {
        "mean": np.clip(rng.normal(22, 6, size), -5, 45),
        "swing": rng.uniform(2, 6, size),
        "phase": rng.random(size),
        "damp": rng.normal(0, 8, size),
        "low": rng.uniform(0, 40, size),
        "charged_s": rng.uniform(2, 7, size) * _DAY_S,
        "signal": rng.uniform(-95, -55, size),
        "lat": np.round(rng.uniform(-60, 60, size), 6),
        "lon": np.round(rng.uniform(-179, 179, size), 6),
    }
    firmware = pl.Series([f"v2.{minor}.{patch}" for minor, patch in version[order]], dtype=pl.String)
    second = (rng.permutation(size) < size / 2)[order]
    return _Devices(
        order,
        lag_ns[order],
        **{name: values[order] for name, values in drawn.items()},
        firmware=firmware,
        second=second,
    )


def _chunks(request: Request, wanted: Plan, names: Sequence[str]) -> Iterator[Chunk]:
    devices = _devices(request)
    fleet = _Fleet(devices, [names[index] for index in devices.index], request, wanted)
    for low in range(0, request.steps, request.steps_a_block):
        yield fleet.chunk(low, min(low + request.steps_a_block, request.steps))


class _Fleet:
    """All devices at once, asked for their messages in order."""

    def __init__(self, devices: _Devices, names: Sequence[str], request: Request, plan: Plan) -> None:
        self._devices, self._names, self._request, self._plan = devices, names, request, plan
        self._sensors = [Sensors(CHANNELS) for _ in names]
        each = zip(devices.index.tolist(), names, strict=True)
        self._faults = [
            by_chance(index, request, KINDS) if plan.random else iter(given_to(plan, name, request))
            for index, name in each
        ]
        self._coming = [next(faults, None) for faults in self._faults]
        streams = (_READINGS, _IDS, _GENERATIONS)
        self._readings, self._ids, self._generations = (np.random.default_rng([request.seed, one]) for one in streams)

    def chunk(self, low: int, high: int) -> Chunk:
        """The messages of readings `low` to `high` (exclusive)."""
        devices, shape = self._devices, (high - low, len(self._names))
        time_ns = self._request.instants(low, high - low)[:, None] + devices.lag_ns
        values = _course(devices, (time_ns - self._request.start_ns) / 1e9)
        chance = self._readings.standard_normal((*shape, len(CHANNELS) + 2))
        values += chance[:, :, : len(CHANNELS)] * _NOISE
        present, labels = self._disturbed(low, high, values)
        values[:] = np.round(np.clip(values, _LEAST, _MOST), 3) + 0.0
        battery = values[:, :, 3]
        frame = pl.DataFrame(
            {
                "event_id": _uuids(self._ids, shape[0] * shape[1]),
                "device_id": pl.Series(list(self._names) * shape[0], dtype=pl.String),
                "timestamp": written(time_ns.ravel(), decimals(self._request)),
                **{channel: values[:, :, place].ravel() for place, channel in enumerate(CHANNELS)},
                "schema_version": pl.repeat(2, values[:, :, 0].size, dtype=pl.Int64, eager=True),
                "firmware_version": pl.concat([devices.firmware] * shape[0]),
                "signal_strength": np.rint(np.clip(devices.signal + 4 * chance[:, :, 4], -110, -30))
                .astype(np.int64)
                .ravel(),
                "location.lat": np.tile(devices.lat, shape[0]),
                "location.lon": np.tile(devices.lon, shape[0]),
                "status": pl.Series(STATUS).gather(_status(battery, chance[:, :, 5]).ravel()),
                "second": np.tile(devices.second, shape[0]),
                "time_ns": time_ns.ravel(),
            }
        )
        frame = self._mixed(frame).filter(pl.Series(present.ravel()))
        text = frame.select(line=_line(self._request.form)).to_series()
        lines = Lines(text, frame["device_id"], frame["time_ns"].to_numpy())
        return Chunk(lines, self._request.instant_ns(high), labels)

    def _disturbed(self, low: int, high: int, values: Floats) -> tuple[NDArray[np.bool_], list[Label]]:
        """Which messages are sent, and labels of the faults that begin; readings are changed where they stand."""
        present, labels = np.ones(values.shape[:2], np.bool_), list[Label]()
        for place, sensors in enumerate(self._sensors):
            begun: list[Fault] = []
            while (fault := self._coming[place]) is not None and fault.first < high:
                begun.append(fault)
                self._coming[place] = next(self._faults[place], None)
            if begun or sensors.is_faulty:
                present[:, place] = sensors.apply(begun, low, values[:, place])
            labels += [self._label(place, one) for one in begun]
        return present, labels

    def _label(self, place: int, fault: Fault) -> Label:
        label, lag_ns = fault.label(self._names[place], self._request, KINDS), int(self._devices.lag_ns[place])
        return replace(label, since_ns=label.since_ns + lag_ns, until_ns=label.until_ns + lag_ns)

    def _mixed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """With the generations that a fault file asks for."""
        windows = [one for one in self._plan.lines if one.kind == "v2"]
        if not windows:
            return frame
        second, chance = frame["second"].to_numpy(), self._generations.random(frame.height)
        for window in windows:
            within = covered(window, frame["device_id"], frame["time_ns"].to_numpy(), self._request.start_ns)
            second = np.where(within, chance < window.size, second)
        return frame.with_columns(second=pl.Series(second))


def _course(devices: _Devices, since_s: Floats) -> Floats:
    """Readings without noise: one layer an instant, one row a device, one column a channel."""
    day = np.sin(2 * math.pi * (since_s / _DAY_S + devices.phase))
    humidity = 55 + devices.damp - 2 * devices.swing * day
    pressure = 1013 - devices.low + 8 * np.sin(2 * math.pi * since_s / _WEATHER_S)
    battery = 100 - 85 * ((since_s / devices.charged_s + devices.phase) % 1.0)
    return np.stack([devices.mean + devices.swing * day, humidity, pressure, battery], axis=2)


def _status(battery: Floats, chance: Floats) -> NDArray[np.int64]:
    """The index of each message's status."""
    return np.select([battery < 20, chance > 2.3, chance < -2.6], [3, 1, 2], 0)


def _uuids(rng: np.random.Generator, count: int) -> pl.Series:
    """Random UUIDs, version 4 (RFC 9562)."""
    raw = np.frombuffer(rng.bytes(16 * count), dtype=np.uint8).reshape(count, 16).copy()
    raw[:, 6], raw[:, 8] = raw[:, 6] & 0x0F | 0x40, raw[:, 8] & 0x3F | 0x80
    text = raw.tobytes().hex()
    digits = [text[at : at + 32] for at in range(0, 32 * count, 32)]
    return pl.Series([f"{one[:8]}-{one[8:12]}-{one[12:16]}-{one[16:20]}-{one[20:]}" for one in digits], dtype=pl.String)


def _line(form: Form) -> pl.Expr:
    """The message of a row: of the first generation without the fields of the second."""
    later = SECOND[len(FIRST) :]
    if form != "jsonl":
        return as_lines(form, [*FIRST, *(pl.when("second").then(pl.col(name)) for name in later)])
    place = pl.struct(lat="location.lat", lon="location.lon").alias("location")
    second = as_lines(form, [*FIRST, *later[:3], place, later[-1]])
    return pl.when("second").then(second).otherwise(as_lines(form, FIRST))
