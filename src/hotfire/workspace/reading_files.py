"""From settings to how a stream's files are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotfire.source.files import FileSettings
from hotfire.source.formats.reading import Counter, Wanted

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.workspace.model import Settings, SourceSettings


def file_settings(settings: Settings, source: SourceSettings, needs: tuple[str, ...] = ()) -> FileSettings:
    """How a stream's files are read, and how much of them at once.

    Args:
        needs: source fields that every file must have.
    """
    clock = source.clock
    wanted = Wanted(
        source.format,
        source.delimiter,
        source.decimal,
        source.columns,
        source.name_pattern,
        Counter(clock.column, clock.start_ns, clock.rate_hz, clock.field) if clock else None,
        source.derive,
        source.compression,
        needs,
    )
    return FileSettings(wanted, settings.engine.batch_rows, settings.engine.batch_bytes, settings.data / "spool")


def needed_fields(contract: Contract) -> tuple[str, ...]:
    """The source fields that every version requires: a file without one of them belongs to another stream."""
    needed = [
        {
            column.path or column.name
            for column in version.columns
            if column.required or column.name in {version.asset, version.time}
        }
        for version in contract.versions
    ]
    return tuple(sorted(set.intersection(*needed)))
