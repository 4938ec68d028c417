"""What a notebook does: stored rows as a Polars frame, bounded in time, and a figure from them."""
# Prints: highest pressure of TRE-001: 307.9 bar

from __future__ import annotations

import subprocess

import polars as pl

import hotfire

# In a notebook the workspace is there already.
subprocess.run(["hotfire", "init", "stand", "--template", "engines"], check=True)
subprocess.run(
    ["hotfire", "simulate", "engine_telemetry", "--to", "stand/incoming/burn-1.csv", "--hours", "0.2"], check=True
)
subprocess.run(["hotfire", "-C", "stand", "ingest", "engine_telemetry"], check=True)

frame = hotfire.read(
    "stand",
    "engine_telemetry",
    since="2025-01-01T00:01:00Z",
    until="2025-01-01T00:10:00Z",
    columns=["engine_id", "event_time", "phase", "chamber_pressure"],
)
peaks = (
    frame.filter(pl.col("phase") == "steady")
    .group_by("engine_id")
    .agg(pl.col("chamber_pressure").max())
    .sort("engine_id")
)
print(peaks)
engine, pressure = peaks.row(0)
print(f"highest pressure of {engine}: {pressure:.1f} bar")
