"""Clocks that are wrong in the ways in which clocks of loggers are wrong, among rows that come as rows come."""

from __future__ import annotations

import math
import random

import polars as pl
import pytest

from hotfire.ledger.clocks import Trouble, judged

NOW_NS = 1_780_272_000_000_000_000
HOUR_S = 3600.0


def came(  # noqa: PLR0913 - how rows come has many sides
    asset: str,
    off_s: float = 0,
    *,
    drift: float = 0,
    rows: int = 600,
    every_s: float = 1.0,
    upload_s: float = 0.0,
    seed: int = 1,
) -> pl.DataFrame:
    """Rows of an asset whose clock is ahead by `off_s` and gains `drift` s/s, sent at once or every `upload_s` seconds.

    They are received a moment later: 20 to 100 ms, sometimes seconds; batches form every 50 ms.
    """
    chance = random.Random(seed)
    found = []
    for number in range(rows):
        true_s = number * every_s
        sent_s = math.ceil(true_s / upload_s) * upload_s if upload_s else true_s
        late_s = chance.uniform(0.02, 0.1) + (chance.uniform(0, 4) if chance.random() < 0.02 else 0)
        received_s = math.ceil((sent_s + late_s) / 0.05) * 0.05
        found.append((asset, NOW_NS + int((true_s + off_s + drift * true_s) * 1e9), NOW_NS + int(received_s * 1e9)))
    return pl.DataFrame(found, schema=["asset", "event_ns", "received_at_ns"], orient="row")


@pytest.mark.parametrize("every_s", [0.01, 1.0, 10.0])
@pytest.mark.parametrize("upload_s", [0.0, 20.0])
def test_sound_clocks_are_left_alone(every_s: float, upload_s: float) -> None:
    """Whatever the rate, sent at once or in uploads, with rows that are held up for seconds."""
    rows = [came(f"TRE-{seed}", every_s=every_s, upload_s=upload_s, rows=4000, seed=seed) for seed in range(3)]
    live, found = judged(pl.concat(rows))
    assert found == []
    assert live == (0 if upload_s and every_s == 0.01 else 3)  # two uploads say nothing


@pytest.mark.parametrize("hours", [-11, -1, 1, 2, 5.5, 9, -9.5])
@pytest.mark.parametrize("upload_s", [0.0, 60.0])
def test_a_local_time_that_is_called_utc_is_noticed(hours: float, upload_s: float) -> None:
    """Ahead or behind by a zone, also of half hours; the sound asset beside it is not blamed."""
    rows = pl.concat([came("here"), came("there", hours * HOUR_S, upload_s=upload_s, rows=900)])
    way = "ahead" if hours > 0 else "behind"
    assert judged(rows) == (2, [Trouble("hours", "there", f"is {abs(hours):g} h {way}")])


def test_time_without_leap_seconds_is_noticed() -> None:
    """GPS time taken for UTC, TAI taken for UTC, and leap seconds taken off twice."""
    rows = pl.concat([came("gps", 18), came("tai", 37), came("twice", -18, seed=2), came("well")])
    assert [(one.kind, one.asset) for one in judged(rows)[1]] == [
        ("leap_seconds", "gps"),
        ("leap_seconds", "tai"),
        ("leap_seconds", "twice"),
    ]


def test_rows_that_take_18_seconds_are_no_wrong_clock() -> None:
    """Uploads every 36 s have a lag of 18 s in the mean; those of a slow line vary."""
    slow = came("slow", -18).with_columns(pl.col("received_at_ns") + pl.int_range(600) % 7 * 1_000_000_000)
    assert judged(pl.concat([came("uploads", upload_s=36, rows=900), slow])) == (2, [])


@pytest.mark.parametrize(("ppm", "a_day"), [(40, "3.5"), (100, "8.6"), (-250, "21.6")])
def test_a_drifting_clock_is_noticed(ppm: float, a_day: str) -> None:
    """By its least lags over hours: how many seconds a day it gains or loses."""
    rows = pl.concat([came("well", rows=9000), came("off", 0.01, drift=ppm * 1e-6, rows=20_000)])
    live, found = judged(rows)
    assert (live, [(one.kind, one.asset) for one in found]) == (2, [("drift", "off")])
    way, said = found[0].seen.split()[:2]
    assert way == ("gains" if ppm > 0 else "loses")
    assert float(said) == pytest.approx(float(a_day), rel=0.05)


def test_a_row_from_the_future_is_a_wrong_clock() -> None:
    """Nothing can come before it happened: half a minute ahead is told as such."""
    assert judged(came("a", 30))[1] == [Trouble("drift", "a", "is 30.0 s ahead of receipt")]


def test_a_backlog_is_no_drift() -> None:
    """Where rows come ever later because a queue grows, or catch up with it, the clock is not to blame."""
    growing = came("a").with_columns(pl.col("received_at_ns") + pl.int_range(600) * 20_000_000)
    assert judged(growing)[1] == []


def test_clocks_that_were_never_set_are_named() -> None:
    """Also where only some rows say 1970: a logger that lost its clock for a while."""
    lost = came("a").with_columns(
        pl.when(pl.int_range(600) < 3).then(pl.int_range(600)).otherwise("event_ns").alias("event_ns")
    )
    assert judged(lost) == (1, [Trouble("never_set", "a", "sent 3 rows from before 2000")])


def test_files_that_are_read_in_one_go_say_nothing() -> None:
    """Old rows that all come at once, or faster than they happened, tell nothing about a clock."""
    at_once = came("a", -2 * HOUR_S).with_columns(received_at_ns=NOW_NS)
    steps = pl.int_range(7000) // 70 * 400_000_000
    quickly = came("b", -5 * HOUR_S, rows=7000).with_columns(received_at_ns=NOW_NS + steps)
    few = came("c", 2 * HOUR_S, rows=12)
    assert judged(pl.concat([at_once, quickly, few])) == (0, [])
