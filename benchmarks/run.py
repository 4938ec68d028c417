"""Run the benchmark cases, each in turn with its baseline, and write what came out to RESULTS.md.

    python benchmarks/run.py [CASE ...] [--rows N] [--wide-rows N] [--runs N] [--keep FOLDER]

A figure is a ratio of whole processes in one run (median of the pairs), for machines differ and are noisy.
"""

from __future__ import annotations

import argparse
import atexit
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median

from launches import ours, served, theirs

from hotfire.testing.postgres import PostgresServer, binaries

HERE = Path(__file__).parent
PYTHON = sys.executable
HOTFIRE = [PYTHON, "-m", "hotfire"]


@dataclass(frozen=True)
class Run:
    """One process: wall seconds, CPU seconds, peak memory in MB."""

    wall_s: float
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True)
class Case:
    """A command, its baseline, and the ratio that is to be reached.

    Attributes:
        faster: True where the figure is baseline / hotfire (how many times faster), else hotfire / baseline.
    """

    name: str
    what: str
    target: str
    hotfire: Callable[[Path], Sequence[str]]
    baseline: Callable[[Path], Sequence[str]]
    faster: bool = True
    memory: bool = False


def main() -> None:
    """Generate the input, run the cases, write the results."""
    options = _options()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="hotfire-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    _generate(folder, options.rows, options.wide_rows)
    lines = []
    with served(folder):
        for case in CASES:
            if not options.cases or case.name in options.cases:
                lines.append(_measure(case, folder, options.runs))
                print(lines[-1], flush=True)
    if not options.cases:
        (HERE / "RESULTS.md").write_text(_report(lines, options), encoding="utf-8")
    if not options.keep:
        shutil.rmtree(folder)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", choices=[[], *(case.name for case in CASES)], default=[])
    parser.add_argument("--rows", type=int, default=2_000_000, help="events of W1")
    parser.add_argument("--wide-rows", type=int, default=5_000_000, help="rows of W2")
    parser.add_argument("--runs", type=int, default=3, help="pairs a case")
    parser.add_argument("--keep", type=Path, help="a folder for the generated input, used again")
    return parser.parse_args()


def _generate(folder: Path, rows: int, wide_rows: int) -> None:
    wanted = {
        "events.jsonl": ["gen_events.py", str(rows)],
        "events-quarter.jsonl": ["gen_events.py", str(rows // 4)],
        "events-tenfold.jsonl": ["gen_events.py", str(rows // 4 * 10)],
        "events-205.jsonl": ["gen_events.py", "205"],
        "wide.csv": ["gen_wide.py", str(wide_rows)],
        "wide-tenth.csv": ["gen_wide.py", str(wide_rows // 10)],
    }
    turbofans = folder / "turbofans.csv"
    if not turbofans.exists():
        command = [*HOTFIRE, "simulate", "dyno_telemetry", "--to", str(turbofans), "--seed", "7", "--faults", "none"]
        rate = [*("--assets", "20"), *("--hours", "1"), *("--rate", str(max(1, wide_rows // 10 // 20 // 3600)))]
        subprocess.run([*command, *rate], check=True, stdout=subprocess.DEVNULL)
    for name, (script, number) in wanted.items():
        if not (folder / name).exists():
            subprocess.run(
                [PYTHON, HERE / "inputs" / script, number, folder / name], check=True, stdout=subprocess.DEVNULL
            )


def _workspace(folder: Path, template: str, *, lake_only: bool = False) -> Path:
    """A fresh workspace of a template; its contract stays compiled, as on the second day of use."""
    place = folder / f"ws-{template}"
    shutil.rmtree(place, ignore_errors=True)
    if template == "wide":
        shutil.copytree(HERE / "wide", place)
    else:
        subprocess.run([*HOTFIRE, "init", str(place), "--template", template], check=True, stdout=subprocess.DEVNULL)
    if lake_only:
        stream = "events" if template == "fleet" else "wide"
        with (place / "hotfire.toml").open("a") as file:
            file.write(f"\n[streams.{stream}]\nlake_only = true\n")
    return place


def _ingest(template: str, stream: str, data: str, *, lake_only: bool = False) -> Callable[[Path], Sequence[str]]:
    def command(folder: Path) -> Sequence[str]:
        place = _workspace(folder, template, lake_only=lake_only)
        return [*HOTFIRE, "--workspace", str(place), "ingest", stream, "--from", str(folder / data), "--json"]

    return command


def _postgres(folder: Path) -> Sequence[str]:
    """W1 into a server of its own, which keeps running until the cases end; every run has a schema of its own."""
    place = _workspace(folder, "fleet")
    text = (place / "hotfire.toml").read_text(encoding="utf-8")
    url = _server(folder).url(f"w1_{time.time_ns()}")
    (place / "hotfire.toml").write_text(text.replace("sqlite:///data/hotfire.db", url), encoding="utf-8")
    return [*HOTFIRE, "--workspace", str(place), "ingest", "events", "--from", str(folder / "events.jsonl"), "--json"]


@cache
def _server(folder: Path) -> PostgresServer:
    programs = binaries()
    if programs is None:
        raise SystemExit("No PostgreSQL was found (`make setup` brings one).")
    place = folder / "server"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    folder.chmod(0o755)
    server = PostgresServer(place, programs)
    server.start(shared_buffers="512MB", max_wal_size="4GB")
    atexit.register(server.stop)
    return server


def _limited(folder: Path) -> Path:
    """A fresh workspace of turbofans with limits on all 21 sensors, two severities each, beside the rules it has."""
    place = _workspace(folder, "dyno")
    sensors = "t2 t24 t30 t50 p2 p15 p30 nf nc epr ps30 phi nrf nrc bpr far_b ht_bleed nf_dmd pcnfr_dmd w31 w32"
    limits = "warning: {high: 99999, low: -9999}, critical: {high: 999999, low: -99999}"
    rules = [
        f"  - {{name: {one}_limits, detector: limit, channel: {one}, {limits}, deadband: 1, min_violations: 2}}"
        for one in sensors.split()
    ]
    text = "stream: dyno_telemetry\nversion: 1\nrules:\n" + "\n".join(rules) + "\n"
    (place / "rules" / "all.yaml").write_text(text, encoding="utf-8")
    (place / "hotfire.toml").write_text('[workspace]\nname = "turbofans"\n', encoding="utf-8")
    return place


def _turbofans(folder: Path) -> Sequence[str]:
    place = str(_limited(folder))
    return [
        *HOTFIRE,
        "--workspace",
        place,
        "ingest",
        "dyno_telemetry",
        "--from",
        str(folder / "turbofans.csv"),
        "--json",
    ]


def _backtest(folder: Path) -> Sequence[str]:
    subprocess.run(_turbofans(folder), check=True, stdout=subprocess.DEVNULL)
    place = folder / "ws-dyno"
    return [*HOTFIRE, "--workspace", str(place), "backtest", str(place / "rules" / "all.yaml"), "--json"]


def _adbc(folder: Path) -> Sequence[str]:
    script = str(HERE / "inputs" / "baseline_adbc.py")
    return [PYTHON, script, str(folder / "turbofans.csv"), str(folder / "turbofans.db")]


def _pydantic(data: str) -> Callable[[Path], Sequence[str]]:
    script = str(HERE / "inputs" / "baseline_pydantic.py")
    return lambda folder: [PYTHON, script, str(folder / data), str(folder / "baseline.db"), "strict", "nopk"]


def _duckdb(folder: Path) -> Sequence[str]:
    script = "import sys, duckdb; duckdb.read_csv(sys.argv[1]).write_parquet(sys.argv[2])"
    return [PYTHON, "-c", script, str(folder / "wide.csv"), str(folder / "wide.parquet")]


CASES = (
    Case(
        "w1-sqlite-delta",
        "W1: JSON events, strict, deduplicated, quarantined with reasons -> SQLite (compound index) + Delta",
        ">= 2.6, aim 3",
        _ingest("fleet", "events", "events.jsonl"),
        _pydantic("events.jsonl"),
    ),
    Case(
        "w1-delta",
        "W1 -> Delta only (bulk backfill)",
        ">= 4.2",
        _ingest("fleet", "events", "events.jsonl", lake_only=True),
        _pydantic("events.jsonl"),
    ),
    Case(
        "w1-postgresql-delta",
        "W1 -> PostgreSQL (compound index) + Delta",
        ">= 2.2",
        _postgres,
        _pydantic("events.jsonl"),
    ),
    Case(
        "w2-delta",
        "W2: wide CSV of 26 columns, checked -> Delta; baseline DuckDB COPY to Parquet, unchecked",
        ">= 0.6",
        _ingest("wide", "wide", "wide.csv", lake_only=True),
        _duckdb,
    ),
    Case(
        "limits-sqlite",
        "C-MAPSS rows of 21 sensors, limits on all, alarms on -> SQLite + Delta; baseline bare ADBC, no checks, no rules",
        ">= 0.5",
        _turbofans,
        _adbc,
    ),
    Case(
        "limits-backtest",
        "the same, evaluation only (`backtest` of what is stored); baseline its ingest",
        ">= 5",
        _backtest,
        _turbofans,
    ),
    Case(
        "cold-205",
        "205 rows, process start to commit; baseline pydantic + sqlite3",
        "<= 2",
        _ingest("fleet", "events", "events-205.jsonl"),
        _pydantic("events-205.jsonl"),
        faster=False,
    ),
    Case(
        "launches-initial",
        "200 launches from a web API on loopback, process start to commit; baseline httpx + pydantic + sqlite3",
        "<= 2, aim 1.5; < 1.2 s",
        ours("now"),
        theirs("now"),
        faster=False,
    ),
    Case(
        "launches-unchanged",
        "the same, nothing new",
        "<= 2, aim 1.5; < 0.5 s",
        ours("now", "now"),
        theirs("now", "now"),
        faster=False,
    ),
    Case(
        "launches-incremental",
        "the same, two of them over, two new",
        "<= 2, aim 1.5; < 0.6 s",
        ours("now", "later"),
        theirs("now", "later"),
        faster=False,
    ),
    Case(
        "time-10x",
        "time on 10x the events",
        "<= 10.5",
        _ingest("fleet", "events", "events-tenfold.jsonl"),
        _ingest("fleet", "events", "events-quarter.jsonl"),
        faster=False,
    ),
    Case(
        "memory-10x",
        "peak memory on 10x the events",
        "<= 1.2",
        _ingest("fleet", "events", "events-tenfold.jsonl"),
        _ingest("fleet", "events", "events-quarter.jsonl"),
        faster=False,
        memory=True,
    ),
    Case(
        "memory-10x-wide",
        "peak memory on 10x the wide CSV",
        "<= 1.2",
        _ingest("wide", "wide", "wide.csv", lake_only=True),
        _ingest("wide", "wide", "wide-tenth.csv", lake_only=True),
        faster=False,
        memory=True,
    ),
)


def _measure(case: Case, folder: Path, runs: int) -> str:
    pairs = [(_process(case.hotfire(folder)), _process(case.baseline(folder))) for _ in range(runs + 1)][1:]
    ours, theirs = [own for own, _ in pairs], [other for _, other in pairs]
    figure = [(own.peak_mb, other.peak_mb) if case.memory else (own.wall_s, other.wall_s) for own, other in pairs]
    ratio = median(other / own if case.faster else own / other for own, other in figure)
    spread = sorted(other / own if case.faster else own / other for own, other in figure)
    return (
        f"| {case.name} | {case.what} | {case.target} | **{ratio:.2f}** ({spread[0]:.2f}..{spread[-1]:.2f}) "
        f"| {_shown(ours)} | {_shown(theirs)} |"
    )


def _shown(runs: list[Run]) -> str:
    wall, cpu, peak = (median(getattr(run, name) for run in runs) for name in ("wall_s", "cpu_s", "peak_mb"))
    return f"{wall:.2f} s, {cpu:.2f} s CPU, {peak:.0f} MB"


def _process(command: Sequence[str]) -> Run:
    started = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    wall_s = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    return Run(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _report(lines: list[str], options: argparse.Namespace) -> str:
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    cpu = next((line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")), "")
    return f"""# Benchmark results

`make bench` on {platform.system()} {platform.release()}, {os.cpu_count()} x {cpu}, Python {platform.python_version()}:
W1 has {options.rows:,} events, W2 {options.wide_rows:,} rows; one warm-up and {options.runs} pairs a case, run in turn.
Ratios are of whole processes, start to end, median (least..greatest); seconds and memory are medians.

| case | what | target | ratio | hotfire | baseline |
|---|---|---|---|---|---|
{chr(10).join(lines)}
"""


if __name__ == "__main__":
    main()
