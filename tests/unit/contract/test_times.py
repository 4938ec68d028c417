"""Instants: exact to the nanosecond, judged alone, refused with a reason."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotfire.clock import iso
from hotfire.contract.model import TimeFormat
from hotfire.contract.times import to_date, to_ns

FORMATS: list[TimeFormat] = ["iso", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns"]
ONE_SECOND = 1_000_000_000
NS_OF: dict[TimeFormat, int] = {"epoch_s": ONE_SECOND, "epoch_ms": 1_000_000, "epoch_us": 1_000, "epoch_ns": 1}


def judged(values: list[object], form: TimeFormat = "iso", zone: str | None = None) -> list[object]:
    """Each value's nanoseconds, or the words that say why it has none."""
    ns, faults = to_ns(pl.Series("t", values), form, zone)
    assert (ns.dtype, faults.dtype, len(ns)) == (pl.Int64, pl.String, len(faults))
    return [fault if value is None else value for value, fault in zip(ns, faults, strict=True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01 00:00:01,25z", 1_250_000_000),
        ("1970-01-01T00:01Z", 60 * ONE_SECOND),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1970-01-01T02:00:00+0200", 0),
        ("1969-12-31T22:00:00-02", 0),
        ("1969-12-31T23:30:00.5-00:30", ONE_SECOND // 2),
        ("1677-09-21T00:12:43.145224192Z", -(2**63)),
        ("2262-04-11T23:47:16.854775807Z", 2**63 - 1),
        ("1677-09-21T00:12:43.145224191Z", "out of range"),
        ("2262-04-11T23:47:16.854775808Z", "out of range"),
        ("9999-12-31T23:59:59Z", "out of range"),
        ("1970-01-01T00:00:00.0000000001Z", "finer than a nanosecond"),
        ("1970-01-01T00:00:00", "no zone"),
        ("2026-02-29T00:00:00Z", "not a time"),
        ("2026-01-01T24:00:00Z", "not a time"),
        ("2026-01-01T00:00:60Z", "not a time"),
        ("2026-01-01", "not a time"),
        ("2026-1-01T00:00:00Z", "not a time"),
        (" 2026-01-01T00:00:00Z", "not a time"),
        ("2026-01-01T00:00:00Z\n", "not a time"),
        ("٢٠٢٦-01-01T00:00:00Z", "not a time"),
        ("", "not a time"),
    ],
)
def test_iso_texts(text: str, expected: object) -> None:
    """ISO 8601 with a zone is read exactly; anything else says what it is not."""
    assert judged([text]) == [expected]


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        ("1594598726.5393324", "epoch_s", 1594598726539332400),
        (1594598726.5393324, "epoch_s", 1594598726539332400),
        ("1.5945987265393324E9", "epoch_s", 1594598726539332400),
        ("1594598726539.3325", "epoch_ms", 1594598726539332500),
        (1594598726539.3324, "epoch_ms", 1594598726539332500),
        (1594598726, "epoch_s", 1594598726 * ONE_SECOND),
        (-1, "epoch_ms", -1_000_000),
        ("-0.5", "epoch_s", -ONE_SECOND // 2),
        (-0.0, "epoch_s", 0),
        (1e-7, "epoch_s", 100),
        (1e-10, "epoch_s", "finer than a nanosecond"),
        ("0.5", "epoch_ns", "finer than a nanosecond"),
        ("0.50000", "epoch_us", 500),
        ("1594598726.53933241234567", "epoch_s", 1594598726539332400),
        ("1594598726539332412.5", "epoch_ns", 1594598726539332400),
        ("1594598726539332412", "epoch_ns", 1594598726539332412),
        ("9007199254740993", "epoch_us", 9007199254740993000),
        ("9223372036854775", "epoch_us", 9223372036854775000),
        ("-9223372036854775", "epoch_us", -9223372036854775000),
        ("9223372036.854774", "epoch_s", 9223372036854774000),
        ("9223372036.854775807", "epoch_s", "out of range"),
        (9223372036.854776, "epoch_s", "out of range"),
        ("1e3", "epoch_ns", 1000),
        (1e18, "epoch_ns", 10**18),
        ("1.e3", "epoch_s", "not a time"),
        (2**62, "epoch_us", "out of range"),
        ("1e999999999999999999999", "epoch_s", "out of range"),
        ("1e-999999999999999999", "epoch_s", 0),
        (float("nan"), "epoch_s", "not a time"),
        (float("inf"), "epoch_s", "out of range"),
        ("inf", "epoch_s", "not a time"),
        (True, "epoch_s", "not a time"),
        ("true", "epoch_s", "not a time"),
        ("1 ", "epoch_s", "not a time"),
        ("2026-01-01T00:00:00Z", "epoch_s", "not a time"),
        (1594598726, "iso", "not a time"),
    ],
)
def test_epochs(value: object, form: TimeFormat, expected: object) -> None:
    """Epochs are read through their decimal digits, never through a product of floats."""
    assert judged([value], form) == [expected]


def test_naive_times_in_a_zone() -> None:
    """A naive time takes the contract's zone, unless the clocks there make it twofold or impossible."""
    texts = ["2026-07-01T12:00:00", "2026-03-29T02:30:00", "2026-10-25T02:30:00.5", "2026-07-01T12:00:00Z"]
    winter = int(datetime(2026, 7, 1, 10, tzinfo=UTC).timestamp()) * ONE_SECOND
    assert judged(list(texts), "iso", "Europe/Berlin") == [
        winter,
        "does not exist in Europe/Berlin",
        "ambiguous in Europe/Berlin",
        winter + 7200 * ONE_SECOND,
    ]


def test_typed_instants() -> None:
    """Datetimes of any unit are taken as they are; naive ones need a zone."""
    aware, naive = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1)  # noqa: DTZ001 - naive is the case
    ns = int(aware.timestamp()) * ONE_SECOND
    assert judged([aware, None]) == [ns, None]
    assert judged([naive]) == ["no zone"]
    assert judged([naive], "iso", "America/New_York") == [ns + 5 * 3600 * ONE_SECOND]
    far = pl.Series([datetime(9026, 1, 1, tzinfo=UTC)]).cast(pl.Datetime("ms", "UTC"))
    assert to_ns(far, "iso", None)[1].to_list() == ["out of range"]


def test_dates() -> None:
    """Only YYYY-MM-DD is a date."""
    days, faults = to_date(
        pl.Series(["2026-01-31", "2026-02-30", "2026-1-1", None, "20260101", "2026-01-01T00:00:00Z"])
    )
    assert days.to_list() == [date(2026, 1, 31), None, None, None, None, None]
    assert faults.to_list() == [None, "not a date", "not a date", None, "not a date", "not a date"]


instants = st.integers(-(2**63), 2**63 - 1)
texts = st.one_of(
    st.datetimes(datetime(1500, 1, 1), datetime(2500, 1, 1)).map(lambda when: when.isoformat()),  # noqa: DTZ001
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(lambda when: f"{when.isoformat()}Z"),  # noqa: DTZ001
    st.from_regex(
        r"\A20[0-9]{2}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9](:[0-6][0-9]([.,][0-9]{1,11})?)?(Z|\+[0-9]{2}:?[0-9]{2})?\Z"
    ),
    st.from_regex(r"\A-?[0-9]{1,20}(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,3})?\Z"),
    st.text(max_size=8),
    st.none(),
)


@given(st.lists(texts, min_size=1, max_size=12), st.sampled_from(FORMATS), st.sampled_from([None, "Europe/Berlin"]))
def test_neighbours_do_not_matter(values: list[str | None], form: TimeFormat, zone: str | None) -> None:
    """A value judged in a batch is judged as it is alone."""
    together = to_ns(pl.Series("t", values, dtype=pl.String), form, zone)
    alone = [to_ns(pl.Series("t", [value], dtype=pl.String), form, zone) for value in values]
    assert together[0].to_list() == [ns.item() for ns, _ in alone]
    assert together[1].to_list() == [fault.item() for _, fault in alone]
    assert all((ns is None) or (fault is None) for ns, fault in zip(*together, strict=True))


@given(instants)
def test_what_is_shown_can_be_read(ns: int) -> None:
    """The text that hotfire writes for an instant reads back as that instant."""
    assert judged([iso(ns)]) == [ns]


@given(st.integers(-(2**65), 2**65), st.sampled_from(FORMATS[1:]))
def test_whole_epochs_keep_every_digit(count: int, form: TimeFormat) -> None:
    """A whole number is exact, as number and as text, or out of range."""
    ns = count * NS_OF[form]
    expected = ns if -(2**63) <= ns < 2**63 else "out of range"
    typed = judged([count], form) if -(2**63) <= count < 2**63 else [expected]
    assert judged([str(count)], form) == typed == [expected]


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=7) | st.floats(-1e19, 1e19), st.sampled_from(FORMATS[1:])
)
def test_fractional_epochs_are_the_shortest_decimal_of_their_float64(value: Decimal | float, form: TimeFormat) -> None:
    """Text and float64 of one number are the same instant, however many digits the text has."""
    exact = Decimal(repr(float(value))) * NS_OF[form]
    fits = -(2**63) <= exact < 2**63
    expected: object = int(exact) if fits else "out of range"
    expected = expected if exact == exact.to_integral_value() else "finer than a nanosecond"
    text = f"{Decimal(repr(value)) if isinstance(value, float) else value:f}"
    fraction = text if "." in text else f"{text}.0"
    assert judged([fraction], form) == judged([f"{fraction}e0"], form) == judged([float(value)], form) == [expected]


@pytest.mark.parametrize("form", FORMATS[1:])
@given(values=st.lists(st.none() | st.floats(), min_size=1, max_size=8))
def test_floats_do_not_mind_their_neighbours(form: TimeFormat, values: list[float | None]) -> None:
    """A float judged in a batch is judged as it is alone."""
    alone = [judged([value], form)[0] if value is not None else None for value in values]
    ns, faults = to_ns(pl.Series("t", values, dtype=pl.Float64), form, None)
    assert [fault if value is None else value for value, fault in zip(ns, faults, strict=True)] == alone
