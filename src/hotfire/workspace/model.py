"""What can be set about a workspace, as frozen values with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct, field

from hotfire.alarm.model import EventName
from hotfire.alarm.notices import TOLD
from hotfire.contract.duration import duration_ns
from hotfire.errors import UserError
from hotfire.findings import SEVERITIES
from hotfire.source.rest.settings import RestSettings
from hotfire.workspace.values import Secret, instant_ns

Key: TypeAlias = tuple[str, ...]
"""The names of a setting, outermost first."""


class StoreSettings(Struct, frozen=True):
    """`[store]`: where the operational store is."""

    url: Secret = field(default_factory=lambda: Secret("sqlite:///data/hotfire.db"))


class LakeSettings(Struct, frozen=True):
    """`[lake]`: a folder (relative to the workspace) or a URL."""

    path: str = "data/lake"


class EngineSettings(Struct, frozen=True):
    """`[engine]`: how much one batch takes, and how often a quarantined row is tried again."""

    batch_rows: int = 100_000
    batch_bytes: int = 16 << 20
    quarantine_tries: int = 5


class HttpSettings(Struct, frozen=True):
    """`[http]`: the server of `hotfire up`.

    Attributes:
        host: the address it listens on; another one than loopback needs a token.
        names: further names under which it may be called.
        viewers, operators, admins: tokens of each role, best as `${NAME}` references.
        body_bytes: the greatest push, decompressed.
        spool_bytes: so many pushed bytes of a stream wait at most for their commit.
    """

    host: str = "127.0.0.1"
    port: int = 8440
    names: tuple[str, ...] = ()
    viewers: tuple[Secret, ...] = ()
    operators: tuple[Secret, ...] = ()
    admins: tuple[Secret, ...] = ()
    body_bytes: int = 32 << 20
    spool_bytes: int = 1 << 30


class AlarmSettings(Struct, frozen=True):
    """`[alarms]`.

    Attributes:
        max_shelve: the longest time for which an alarm may be shelved, a duration.
    """

    max_shelve: str = "24 h"

    @property
    def max_shelve_ns(self) -> int:
        """The longest shelve, in nanoseconds."""
        return duration_ns(self.max_shelve)


class ClockSettings(Struct, frozen=True):
    """`[streams.<name>.source.clock]`: instants for sources that only count: start + column / rate_hz.

    Attributes:
        column: the source field that counts (a cycle, a sample number).
        start: the instant of count 0, ISO 8601 with zone.
        rate_hz: counts a second.
        field: the name of the field that the instant becomes.
    """

    column: str
    start: str
    rate_hz: float = 1.0
    field: str = "event_time"

    @property
    def start_ns(self) -> int:
        """The instant of count 0, in nanoseconds of UTC."""
        return instant_ns(self.start)


class SourceSettings(Struct, frozen=True):
    """`[streams.<name>.source]`: where a stream's records come from and how their files are written.

    Attributes:
        path: files, folders and globs, relative to the workspace; `-` is standard input.
        format: csv, tsv, whitespace, jsonl, json or parquet; None goes by name and content.
        delimiter, decimal: of text tables; None goes by format and content.
        columns: the field names of tables without a header line.
        name_pattern: a regular expression over the file's name; its named groups become fields.
        derive: SQL over source fields, by the name of the field it makes.
        compression: none, gz or zst; None goes by name and content.
        every: how often a stream that goes on looks at its source, a duration; None: files all the time, a web API every
            hour.
        rest: what is asked of a web API; None where the kind is another.
        authorization: the header of that name in requests to it, best as a `${NAME}` reference.
    """

    kind: str = "files"
    path: tuple[str, ...] = ()
    format: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    columns: tuple[str, ...] = ()
    name_pattern: str | None = None
    clock: ClockSettings | None = None
    derive: Mapping[str, str] = field(default_factory=dict)
    compression: str | None = None
    every: str | None = None
    rest: RestSettings | None = None
    authorization: Secret | None = None

    @property
    def every_ns(self) -> int:
        """The duration between two looks, in nanoseconds."""
        return duration_ns(self.every or ("1 h" if self.rest else "0 s"))


class StreamSettings(Struct, frozen=True):
    """`[streams.<name>]`.

    Attributes:
        lake_only: rows are kept only in the lake, for bulk backfill.
        retention: how old rows grow in the store, a duration; older ones are kept only in the lake. None: all rows stay.
        assets: what people call an asset, by its identity.
    """

    name: str
    lake_only: bool = False
    retention: str | None = None
    source: SourceSettings = field(default_factory=SourceSettings)
    assets: Mapping[str, str] = field(default_factory=dict)

    @property
    def retention_ns(self) -> int | None:
        """How old rows grow in the store, in nanoseconds."""
        return None if self.retention is None else duration_ns(self.retention)


class NotifySettings(Struct, frozen=True):
    """`[[notify]]`: one target that is told of alarms, and of which.

    Attributes:
        kind: webhook, apprise or log.
        url: of the webhook, or as apprise writes it.
        secret: signs what a webhook is sent.
        streams, assets, rules: patterns as of file names.
        events: what may happen to an alarm.
    """

    name: str
    kind: str
    url: Secret | None = None
    secret: Secret | None = None
    min_severity: str = SEVERITIES[0]
    streams: tuple[str, ...] = ("*",)
    assets: tuple[str, ...] = ("*",)
    rules: tuple[str, ...] = ("*",)
    events: tuple[EventName, ...] = TOLD


class MaintenanceSettings(Struct, frozen=True):
    """`[[maintenance]]`: a window in which nobody is told of alarms, from `since` to before `until`.

    Attributes:
        since, until: instants, ISO 8601 with zone.
        streams, assets: patterns as of file names.
    """

    since: str
    until: str
    streams: tuple[str, ...] = ("*",)
    assets: tuple[str, ...] = ("*",)
    reason: str = ""

    @property
    def since_ns(self) -> int:
        """Its first instant, in nanoseconds of UTC."""
        return instant_ns(self.since)

    @property
    def until_ns(self) -> int:
        """The instant it is over, in nanoseconds of UTC."""
        return instant_ns(self.until)


class Settings(Struct, frozen=True):
    """Everything that a person can set about a workspace.

    Attributes:
        folder: the workspace, absolute.
        name: what people call it; the folder's name where nothing else is set.
        streams: those of `contracts/` and those of hotfire.toml, by name, in order of name.
        notify: targets by name.
    """

    folder: Path
    name: str
    store: StoreSettings
    lake: LakeSettings
    engine: EngineSettings
    http: HttpSettings
    alarms: AlarmSettings
    streams: Mapping[str, StreamSettings]
    notify: Mapping[str, NotifySettings] = field(default_factory=dict)
    maintenance: tuple[MaintenanceSettings, ...] = ()

    @property
    def data(self) -> Path:
        """The folder of everything that hotfire writes."""
        return self.folder / "data"

    @property
    def database(self) -> Path | None:
        """The SQLite file; None where the store is of another kind."""
        scheme, _, path = self.store.url.reveal().partition(":///")
        return self.folder / path if scheme == "sqlite" else None

    @property
    def lake_url(self) -> str:
        """The lake's root: an absolute path, or the URL as it is set."""
        return self.absolute(self.lake.path)

    def absolute(self, path: str) -> str:
        """A path of the settings, taken from the workspace. URLs and `-` stay as they are."""
        return path if path == "-" or "://" in path else str(self.folder / path)

    def stream(self, name: str) -> StreamSettings:
        """The stream of that name; UserError where there is none."""
        if name not in self.streams:
            known = ", ".join(self.streams) or "none; a stream is a folder in contracts/"
            raise UserError(f"There is no stream {name!r} in {self.folder}.", f"Known: {known}.")
        return self.streams[name]
