"""Everything hotfire raises on purpose. Bad *data* is never raised: it is a fault in a verdict and ends in quarantine.

HotfireError
|-- UserError            exit 2: the user can mend it (a setting, a contract, a file, an option)
|   |-- ContractError    a contract is not well written: file, line, field, suggestion
|   `-- SettingsError    a setting is unknown or has a wrong value
`-- Refused              exit 3: an outage, or a start that would not be safe
    |-- SourceChanged    a planned span no longer has the bytes that were planned
    |-- OwnedElsewhere   another process owns the shard
    |-- StoreUnusable    the store is locked, corrupt, full, read-only or of a newer version
    |   `-- StoreOutage  it cannot be reached at present (it is an Outage, too)
    |-- LakeUnusable     the lake is missing a file, or is ahead of the store
    |-- Outage           something cannot be reached at present: the same again may help
    |   `-- StoreOutage  (see above)
    `-- RowsRefused      the store refuses rows of a batch as data: without them the batch can be committed
"""

from __future__ import annotations

from collections.abc import Mapping


class HotfireError(Exception):
    """A message for a person: what happened, where, and what to do about it.

    Args:
        what: one sentence that names the thing and the trouble.
        do: what the reader can do now; empty where nothing helps.
    """

    exit_code = 1

    def __init__(self, what: str, do: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.do = do


class UserError(HotfireError):
    """The user can mend it: a setting, a contract, a file, an option."""

    exit_code = 2


class ContractError(UserError):
    """A contract is not well written."""


class SettingsError(UserError):
    """A setting is unknown or has a wrong value."""


class Refused(HotfireError):
    """An outage, or a start that would not be safe. Nothing was done."""

    exit_code = 3


class SourceChanged(Refused):
    """A planned span can no longer be read as it was planned."""


class OwnedElsewhere(Refused):
    """Another process owns the shard."""


class StoreUnusable(Refused):
    """The store cannot be used as it is."""


class LakeUnusable(Refused):
    """The lake cannot be used as it is."""


class Outage(Refused):
    """Something cannot be reached at present, or is too busy: the same again, later, may help. Nothing is poison.

    Args:
        after_s: the other side asks to be left alone for so long.
    """

    def __init__(self, what: str, do: str = "", after_s: float = 0.0) -> None:
        super().__init__(what, do)
        self.after_s = after_s


class StoreOutage(StoreUnusable, Outage):
    """The store cannot be reached, restarts, is full, or chose this transaction to give way to another."""


class RowsRefused(Refused):
    """The store refuses rows of a batch as data; nothing was committed. Without these rows the batch can be.

    Args:
        what: one sentence that names the table and how many rows it refuses.
        reasons: why, by record number of the batch; all of them, and no others.
    """

    def __init__(self, what: str, reasons: Mapping[int, str]) -> None:
        super().__init__(what, "Look at the constraints and triggers of the table.")
        self.reasons = reasons
