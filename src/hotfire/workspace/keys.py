"""Every setting that there is, the kind of its value, and the only texts that some may have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from hotfire.alarm.model import EventName
from hotfire.findings import SEVERITIES
from hotfire.source.rest.settings import RestSettings
from hotfire.workspace.model import Key, SourceSettings

CHOICES: Mapping[Key, tuple[str, ...]] = {
    ("streams", "*", "source", "kind"): ("files", "rest"),
    ("streams", "*", "source", "format"): ("csv", "tsv", "whitespace", "jsonl", "json", "parquet"),
    ("streams", "*", "source", "decimal"): (".", ","),
    ("streams", "*", "source", "compression"): ("none", "gz", "zst"),
    ("notify", "*", "kind"): ("webhook", "apprise", "log"),
    ("notify", "*", "min_severity"): SEVERITIES,
    ("notify", "*", "events"): get_args(EventName),
}
"""The only texts that some settings may have."""

ARRAYS: Mapping[str, str] = {"notify": "name", "maintenance": ""}
"""The lists of tables, and what names an entry in the keys of its settings; empty: its number, from 1."""

REST = frozenset(RestSettings.__struct_fields__)
"""The settings of a source that are about a web API."""

_SOURCE: Mapping[Key, str] = {
    **{(name,): "text" for name in SourceSettings.__struct_fields__ if name not in {"clock", "derive", "rest"}},
    ("authorization",): "hidden",
    **{(name,): "text" for name in RestSettings.__struct_fields__},
    **{(name,): "duration" for name in ("overlap", "reconcile", "cadence", "timeout")},
    ("attempts",): "count",
    ("max_deleted",): "rate",
    ("max_response",): "size",
    ("every",): "duration",
    ("path",): "texts",
    ("columns",): "texts",
    ("delimiter",): "sign",
    ("name_pattern",): "pattern",
    ("clock", "column"): "text",
    ("clock", "start"): "instant",
    ("clock", "rate_hz"): "rate",
    ("clock", "field"): "text",
    ("derive", "*"): "text",
}

KEYS: Mapping[Key, str] = {
    ("workspace", "name"): "text",
    ("store", "url"): "secret",
    ("lake", "path"): "text",
    ("engine", "batch_rows"): "count",
    ("engine", "batch_bytes"): "count",
    ("engine", "quarantine_tries"): "count",
    ("http", "host"): "text",
    ("http", "port"): "count",
    ("http", "names"): "texts",
    ("http", "viewers"): "secrets",
    ("http", "operators"): "secrets",
    ("http", "admins"): "secrets",
    ("http", "body_bytes"): "count",
    ("http", "spool_bytes"): "count",
    ("alarms", "max_shelve"): "duration",
    ("streams", "*", "lake_only"): "flag",
    ("streams", "*", "retention"): "duration",
    ("streams", "*", "assets", "*"): "text",
    **{("streams", "*", "source", *key): kind for key, kind in _SOURCE.items()},
    ("notify", "*", "kind"): "text",
    ("notify", "*", "url"): "hidden",
    ("notify", "*", "secret"): "hidden",
    ("notify", "*", "min_severity"): "text",
    **{("notify", "*", name): "texts" for name in ("streams", "assets", "rules", "events")},
    ("maintenance", "*", "since"): "instant",
    ("maintenance", "*", "until"): "instant",
    **{("maintenance", "*", name): "texts" for name in ("streams", "assets")},
    ("maintenance", "*", "reason"): "text",
}
"""Every setting, `*` standing for any name, and the kind of its value."""
