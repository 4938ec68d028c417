"""Snapshots: after every batch that changed a stream, what an SQL of the workspace's own says of the store, kept as rows.

They are written in the batch's transaction, so there is one for each change that is there, and none for one that is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from hotfire.contract.model import NAME
from hotfire.errors import Outage, Refused, StoreUnusable, UserError
from hotfire.store.dialect import quoted

if TYPE_CHECKING:
    from hotfire.rows import Outcome, Plan
    from hotfire.store.connection import Connection
    from hotfire.store.transactions import Transactions

MARKS = ("id", "job_id", "batch_size", "kind", "updated_at_ns")
"""Columns that every snapshot has beside its own: its number, and of the batch the job, the rows it changed, how it came
to be, and when it was committed."""

_MARKED = "l.arrival AS id, l.job_id, l.stored AS batch_size, {kind} AS kind, l.committed_at_ns AS updated_at_ns"


class Snapshot(Struct, frozen=True):
    """What is written of a stream.

    Attributes:
        file: where it stands, for people.
        table: the rows go into.
        sql: one SELECT over the store's tables, in its database's words; a column `x_ns` is an instant.
    """

    file: str
    stream: str
    table: str
    sql: str


class Snapshots:
    """The snapshots in a store.

    Args:
        run: the store's transactions.

    Attributes:
        of: the snapshot of a stream; None where it has none. Raises UserError where its file is not well written.
    """

    def __init__(self, connection: Connection, run: Transactions) -> None:
        self._connection, self._run = connection, run
        self.of: Callable[[str], Snapshot | None] = lambda _: None

    def ensure(self, stream: str) -> None:
        """Make the table of a stream's snapshot; part of a transaction. UserError where its SQL cannot be used."""
        one = self.of(stream)
        if one is not None:
            try:
                self._check(one)
                self._make_once(one)
            except Outage:
                raise
            except StoreUnusable as error:
                raise UserError(f"{one.file}: {error.what}", "Nothing was done; mend it.") from error

    def write(self, outcome: Outcome) -> None:
        """Add the snapshot of a batch that changed something: the last part of its commit. Refused where that fails."""
        plan = outcome.plan
        one = self.of(plan.stream) if outcome.counts.stored else None
        if one is None:
            return
        try:
            self._make_once(one)
            self._connection.query(
                f"INSERT INTO {quoted(one.table)} {_select(one, 'CAST(? AS text)')} "
                "WHERE l.stream = ? AND l.shard = ? AND l.batch_seq = ?",
                [kind(plan), plan.stream, plan.shard, plan.batch_seq],
            )
        except Outage:
            raise
        except StoreUnusable as error:
            do = "Mend it and run again: nothing of the batch was committed, and nothing is lost."
            raise Refused(f"{one.file}: {error.what}", do) from error

    def last(self, stream: str, job_id: str) -> dict[str, Any] | None:
        """The newest row that a job has written of a stream; None where it has written none."""
        one = self.of(stream)
        if one is None:
            return None

        def read() -> Any:
            if not self._connection.columns(one.table):
                return None
            found = self._connection.query(
                f"SELECT * FROM {quoted(one.table)} WHERE job_id = ? ORDER BY id DESC LIMIT 1", [job_id]
            )
            return found.row(0, named=True) if found.height else None

        row: dict[str, Any] | None = self._run.reading(read)
        return row

    def _make_once(self, one: Snapshot) -> None:
        if not self._connection.columns(one.table):
            self._make(one, one.table)

    def _check(self, one: Snapshot) -> None:
        """Make the table on trial, and compare it with the one that is there."""
        self._connection.savepoint(_TRIAL)
        self._make(one, _TRIAL)
        wanted, present = [*self._connection.columns(_TRIAL)], [*self._connection.columns(one.table)]
        self._connection.undo(_TRIAL)
        odd = [name for name in wanted if not NAME.fullmatch(name)]
        if odd or wanted[-len(MARKS) :] != [*MARKS]:
            what = f"{one.file} gives a column {odd[0]}." if odd else f"{one.file} gives {', '.join(wanted)}."
            raise UserError(what, f"Names are snake_case, each is there once; {', '.join(MARKS)} are hotfire's own.")
        if present and present != wanted:
            what = f"{one.file} gives {', '.join(wanted)}; the table {one.table} has {', '.join(present)}."
            raise UserError(what, "Give the file another name, which makes a new table; the old rows stay.")

    def _make(self, one: Snapshot, table: str) -> None:
        self._connection.query(f"CREATE TABLE {quoted(table)} AS {_select(one, _NOTHING)} LIMIT 0")
        beside = self._connection.dialect.beside
        for name, kind in self._connection.columns(table).items() if beside else ():
            if name.endswith("_ns") and kind == "bigint":
                shown = beside.format(name=quoted(name.removesuffix("_ns")), stored=quoted(name))
                self._connection.query(f"ALTER TABLE {quoted(table)} ADD COLUMN {shown}")


_TRIAL = "hf_snapshot_trial"
_NOTHING = "CAST('' AS text)"


def _select(one: Snapshot, kind: str) -> str:
    return f"SELECT s.*, {_MARKED.format(kind=kind)} FROM hf_ledger l CROSS JOIN (\n{one.sql}\n) AS s"


def kind(plan: Plan) -> str:
    """How a batch came to be: as its source says, or the first one, a later one, or a repair."""
    said = next((part.facts["plan"] for part in plan.span.parts if "plan" in part.facts), None)
    if plan.repair or said is None:
        return "repair" if plan.repair else "initial" if plan.batch_seq == 1 else "incremental"
    return str(said)


def read_snapshot(file: str, table: str, text: str) -> Snapshot:
    """The snapshot that a file describes: comments, one of them `-- stream: NAME`, and then one SELECT.

    Raises:
        UserError: it is not that.
    """
    lines = text.strip().splitlines()
    head = next(
        (at for at, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("--")), len(lines)
    )
    streams = [found[1] for line in lines[:head] if (found := re.fullmatch(r"\s*--\s*stream:\s*(\S+)\s*", line))]
    body = "\n".join(lines[head:]).strip().removesuffix(";").strip()
    if len(streams) != 1:
        raise UserError(f"{file} does not say of which stream it is.", "Begin it with a line `-- stream: NAME`.")
    if not re.match(r"(select|with)\b", body, re.IGNORECASE) or ";" in body or "?" in body:
        raise UserError(f"{file} is not one SELECT.", "Write one, without semicolons and question marks.")
    return Snapshot(file, streams[0], table, body)
