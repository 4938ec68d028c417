"""A contract, compiled: what a stream promises, as plain values that the engine can use without reading YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from hotfire.errors import ContractError

Type = Literal["string", "integer", "number", "boolean", "timestamp", "date", "array"]
TimeFormat = Literal["iso", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns"]
Policy = Literal["null", "clamp", "reject"]

NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
"""What streams, columns and checks may be called."""

STREAM_NAMES = "a-z, 0-9 and _, at most 60 characters, beginning with a letter, but not with hf_ or sqlite_"
"""The rule for the names of streams, in words."""

MAX_AHEAD_NS = 300_000_000_000
"""How far a row may be ahead of received_at where its contract does not say."""


def is_stream_name(name: str) -> bool:
    """Whether a stream, its folder and its tables may be called so."""
    return bool(NAME.fullmatch(name)) and not name.startswith(("hf_", "sqlite_"))


class Column(Struct, frozen=True):
    """One column of a stream.

    Attributes:
        name: in tables, SQL and check names.
        path: where the value stands in a source record: a header name or dotted path (`location.lat`).
        element: what of an array at the path is the value: `0.core` of its first element, `*.core` of every one.
        minimum, maximum: the possible readings, in `unit`, inclusive unless `exclusive_*`; None is open.
        out_of_range: what becomes of an impossible reading.
        values: the only texts or numbers allowed; empty allows all.
        pattern: a regular expression that the whole text must match.
        format: how an instant is written in the source.
        zone: IANA zone of naive times; None rejects them.
        coerce: a value is read as a table's cell of the same text would be; counted as a correction.
        limits: alarm limits as written (`hotfire.limits`), for rules.
        refers_to: the stream and column that has the value, or each of an array: `rockets.id`. Reported, never refused.
    """

    name: str
    type: Type
    path: str = ""
    element: str = ""
    required: bool = False
    unit: str | None = None
    description: str = ""
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False
    out_of_range: Policy = "reject"
    values: tuple[str | int | float, ...] = ()
    pattern: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    format: TimeFormat = "iso"
    zone: str | None = None
    coerce: bool = False
    limits: Mapping[str, Any] = field(default_factory=dict)
    refers_to: str = ""

    @property
    def storage(self) -> str:
        """The column's name in store and lake: instants are stored as int64 `<name>_ns`."""
        return f"{self.name}_ns" if self.type == "timestamp" else self.name

    @property
    def field(self) -> Field:
        """The field of a source record that it is read from; of an element, the whole array."""
        if self.element:
            return Field(self.path, self.name, "array", "iso", coerce=False)
        return Field(self.path or self.name, self.name, self.type, self.format, self.coerce)


class Check(Struct, frozen=True):
    """A cross-field check: a boolean SQL expression over columns. A row breaks it where it is false (not null)."""

    name: str
    sql: str


class Lens(Struct, frozen=True):
    """How rows of major version `from_major` become rows of the version that holds the lens.

    Attributes:
        when: SQL over source fields (by path, quoted where dotted) that says which rows are of the older version.
        set: SQL over the older version's columns, by new column name; the rest carry over by name.
    """

    from_major: int
    when: str
    set: Mapping[str, str] = field(default_factory=dict)


class Contract(Struct, frozen=True):
    """What a stream promises.

    Attributes:
        stream: the name of folder, id, schema and table.
        version: as written, `2.0.0`; `major` is its first number.
        asset, time: column names (telemetry only).
        key: the primary key's column names, in order; for telemetry without asset and time.
        counter: a column that counts up by one per asset; gaps are counted.
        revision: entities: the column whose greater value wins; None is arrival order.
        unknown_fields: `keep` in a JSON column, or `reject` the row.
        max_ahead_ns: a row further ahead of received_at is quarantined.
        reorder_ns: how long detectors wait for late rows; rows themselves commit at once.
        older: earlier major versions, oldest first; each newer one has a lens.
        hash: SHA-256 of all texts, oldest version first.
    """

    stream: str
    version: str
    kind: Literal["telemetry", "entity"]
    columns: tuple[Column, ...]
    asset: str | None = None
    time: str | None = None
    key: tuple[str, ...] = ()
    counter: str | None = None
    revision: str | None = None
    unknown_fields: Literal["keep", "reject"] = "keep"
    max_ahead_ns: int = MAX_AHEAD_NS
    reorder_ns: int = 0
    checks: tuple[Check, ...] = ()
    lens: Lens | None = None
    older: tuple[Contract, ...] = ()
    hash: str = ""
    description: str = ""

    @property
    def major(self) -> int:
        """The number in `vN.yaml`."""
        return int(self.version.split(".")[0])

    def column(self, name: str) -> Column:
        """The column of that name; KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def identity(self) -> tuple[str, ...]:
        """Storage names of the columns that tell rows apart: telemetry (asset, time, key), entities the key."""
        names = (self.asset, self.time, *self.key) if self.kind == "telemetry" else self.key
        return tuple(self.column(name).storage for name in names if name is not None)

    @property
    def versions(self) -> tuple[Contract, ...]:
        """All versions, oldest first, this one last."""
        return (*self.older, self)


class Field(Struct, frozen=True):
    """One field of a source record, as some version of the contract wants it."""

    path: str
    column: str
    type: Type
    format: TimeFormat
    coerce: bool

    @property
    def form(self) -> tuple[str, str, str]:
        """What tells forms of one field apart: path, type, and for instants whether text or number."""
        return self.path, self.type, self.format if self.type == "timestamp" else ""


def wire(contract: Contract) -> tuple[Field, ...]:
    """The fields of a source record that any version names, by path, the newest version's form first.

    Where versions disagree about a field's form, the older form is appended under the same path. The
    first form stands in the decoded frame as `path`, the second as `path#2`; a value stands in each that it fits.
    """
    fields: dict[tuple[str, str, str], Field] = {}
    for version in reversed(contract.versions):
        for column in version.columns:
            fields.setdefault(column.field.form, column.field)
    return tuple(fields.values())


def dump(contract: Contract) -> bytes:
    """A compiled contract as JSON, to be kept beside the workspace."""
    return msgspec.json.encode(contract)


def load(data: bytes) -> Contract:
    """The contract that `dump` wrote. Raises ContractError where the bytes are of another version of hotfire."""
    try:
        return msgspec.json.decode(data, type=Contract)
    except msgspec.DecodeError as error:
        raise ContractError(f"the compiled contract cannot be read: {error}", "compile it again") from error
