"""The page about HTTP names what the server has: nothing is missing, nothing is made up."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

from prometheus_client import CollectorRegistry

from hotfire.source.spool.writer import SpoolLimits
from hotfire.web.ingest import MEDIA, IngestLimits
from hotfire.web.meters import EngineMeters, Meters, SpoolMeters

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "http.md").read_text("utf-8")
DOCUMENT = json.loads((files("hotfire.web") / "openapi.json").read_text("utf-8"))
CELLS = re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE)


def test_every_path_is_there() -> None:
    """As in the document for programs, with the method."""
    known = {f"{method.upper()} {path}" for path, item in DOCUMENT["paths"].items() for method in item}
    assert {cell for cell in CELLS if " /" in cell} == known


def test_every_code_is_there() -> None:
    """Whatever a push may be answered with."""
    known = set(DOCUMENT["paths"]["/api/v1/ingest/{stream}"]["post"]["responses"])
    assert {cell for cell in CELLS if cell.isdigit()} == known


def test_every_content_type_is_there() -> None:
    """All that are taken."""
    assert sorted(cell for cell in CELLS if re.fullmatch(r"[a-z]+/[a-z-]+", cell)) == sorted(MEDIA)


def test_every_metric_is_there() -> None:
    """By the name under which Prometheus finds it."""
    registry = CollectorRegistry()
    Meters(registry)
    EngineMeters(registry)
    families = [*registry.collect(), *SpoolMeters({}).collect()]
    known = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    assert {cell for cell in CELLS if cell.startswith("hotfire_")} == known


def test_the_limits_are_those_of_the_program() -> None:
    """The page says the defaults."""
    push, spool = IngestLimits(), SpoolLimits()
    assert f"more than {push.body_bytes >> 20} MiB" in PAGE
    assert f"within {push.body_seconds:g} s" in PAGE
    assert f"files of {spool.segment_bytes >> 20} MiB" in PAGE
    assert f"At most\n{spool.max_bytes >> 30} GiB waits" in PAGE
