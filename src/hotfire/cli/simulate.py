"""`hotfire simulate`: seeded, realistic data with labelled faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hotfire.cli.command import Command
from hotfire.cli.output import Answer, hint
from hotfire.errors import UserError

START = "2025-01-01T00:00:00Z"


@click.command(cls=Command)
@click.argument("stream")
@click.option("--to", required=True, type=click.Path(path_type=Path), metavar="FILE", help=".csv or .jsonl; .gz, .zst.")
@click.option("--rate", "rate_hz", default=1.0, show_default=True, metavar="HZ", help="Readings a second and asset.")
@click.option("--hours", default=2.0, show_default=True, metavar="H", help="How long.")
@click.option("--assets", default=5, show_default=True, metavar="N", help="How many.")
@click.option("--faults", default="default", show_default=True, metavar="NAME|FILE", help="none, default, or a file.")
@click.option(
    "--labels", type=click.Path(path_type=Path), metavar="OUT", help="Where to write what is wrong, and where."
)
@click.option("--seed", default=1, show_default=True, metavar="S", help="The same seed gives the same bytes.")
@click.option("--start", default=START, show_default=True, metavar="ISO", help="The instant of the first reading.")
def simulate(stream: str, to: Path, faults: str, labels: Path | None, start: str, **numbers: Any) -> Answer:
    """Make a stream's data: realistic, with faults in it, each one labelled."""
    from hotfire.simulate.model import Request
    from hotfire.simulate.writer import read_faults
    from hotfire.simulate.writer import simulate as write
    from hotfire.workspace.model import instant_ns

    try:
        start_ns = instant_ns(start)
    except ValueError:
        raise UserError(f"--start {start} is no instant with a zone.", f"Write it as {START}.") from None
    request = Request(start_ns, faults=read_faults(faults), **numbers)
    made = write(stream, to, request, labels=labels)
    document = {"stream": stream, "to": str(to), "rows": made.rows, "faults": dict(made.labels), "seed": request.seed}
    found = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in made.labels.items())
    lines = [f"wrote {made.rows:,} rows to {to}", *([f"  with {found}"] if found else [])]
    if labels:
        lines.append(f"  labels: {labels}")
    return Answer(document, [*lines, f"Next: {hint(f'ingest {stream} --from {to}')}"])
