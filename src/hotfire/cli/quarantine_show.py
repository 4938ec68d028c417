"""`hotfire quarantine show`: one rejected row, with a caret under each bad field, and what can be done about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from hotfire.cli.command import Command
from hotfire.cli.output import Answer, hint, printable
from hotfire.cli.place import shown_place
from hotfire.cli.quarantine import checks_of, faults_of
from hotfire.cli.workspace import settings_of
from hotfire.errors import UserError

if TYPE_CHECKING:
    from hotfire.quarantine.show import Remedy
    from hotfire.workspace.wiring import Workspace


@click.command(cls=Command)
@click.argument("quarantine_id", metavar="ID", type=int)
def show(quarantine_id: int) -> Answer:
    """One row: where it came from, every check it broke, and the record with a caret under each bad field."""
    from hotfire.workspace.wiring import Workspace

    with Workspace(settings_of()) as workspace:
        rows = workspace.store.query("quarantine_row", id=quarantine_id)
        if rows.is_empty():
            raise UserError(f"There is no row {quarantine_id} in quarantine.", f"List them: {hint('quarantine list')}")
        return _shown(workspace, rows.row(0, named=True))


def _shown(workspace: Workspace, row: Mapping[str, Any]) -> Answer:
    import msgspec

    from hotfire.clock import iso
    from hotfire.quarantine.show import Record, pointed, remedy, safe, spots

    contract = workspace.contract_of(row["contract"])
    facts = msgspec.json.decode(row["facts"])
    record, faults = Record.of(row["raw"], facts.get("reading", facts)), faults_of(row["faults"])
    batch = workspace.store.query(
        "ledger_batch", stream=row["stream"], shard=row["shard"], batch_seq=row["batch_seq"]
    ).row(0, named=True)
    names = ("id", "stream", "state", "place", "line", "shard", "batch_seq", "row_no", "tries", "reason")
    document = {name: row[name] for name in names} | {
        "offset": row["at_offset"],
        "contract_version": contract.version,
        "received_at": iso(batch["received_at_ns"]),
        "job_id": batch["job_id"],
        "repaired_batch_seq": row["repaired_seq"],
        "repaired_fate": row["repaired_fate"],
        "checks": checks_of(faults),
        "raw": row["raw"].decode(errors="backslashreplace"),
    }
    places = [spots(record, fault, contract) for fault in faults]
    for one, found in zip(document["checks"], places, strict=True):
        one["spans"] = found

    def lines() -> Iterator[str]:
        yield click.style(f"Row {row['id']} of quarantine: {row['stream']}, {_state(document)}", bold=True)
        yield f"  from      {shown_place(row['place'])}:{row['line']}"
        yield f"  batch     {row['batch_seq']}, record {row['row_no']}, received {document['received_at'][:19]}Z"
        yield f"  contract  {row['stream']} {contract.version}"
        for fault, found in zip(faults, places, strict=True):
            value = "" if fault.value is None else f"  {safe(fault.value[:60])!s}"
            detail = f"  ({printable(fault.detail, 60)})" if fault.detail else ""
            yield ""
            yield click.style(fault.check, fg="yellow") + value + detail
            text, carets = pointed(record, found)
            yield f"  {text}"
            if carets:
                yield click.style(f"  {carets}", fg="red")
        if row["state"] == "open":
            yield ""
            yield from _way_out(row, remedy(faults), lost=batch["quarantined"] == batch["received"] > 1)

    return Answer(document, lines())


def _row_check(row: Mapping[str, Any]) -> str:
    """The check that says that a record could not be read."""
    return next(fault.check for fault in faults_of(row["faults"]) if fault.check.startswith("row."))


def _way_out(row: Mapping[str, Any], helps: Remedy, *, lost: bool) -> Iterator[str]:
    """What can be done about an open row; `lost`: nothing of its batch was accepted."""
    stream, place = row["stream"], f"{shown_place(row['place'])}:{row['line']}"
    replayed, discarded = hint(f"quarantine replay {stream}"), hint(f"quarantine discard {row['id']} --reason TEXT")
    match helps:
        case "source" if lost:
            yield f"Nothing of its batch could be read. Is this a file for {stream}, in the form that hotfire.toml says?"
            yield f"Next: mend streams.{stream}.source (format, delimiter, columns), ingest the file under another name,"
            everything = hint(f"quarantine discard --stream {stream} --check {_row_check(row)} --reason TEXT")
            yield f"      then {everything}"
        case "source":
            yield "No contract can mend a record that cannot be read as one."
            yield f"Next: where {place} can be had whole, ingest it from a new file; then, or if it cannot,"
            yield f"      {discarded}"
        case "stored row":
            yield "A row of the same identity is stored, with other content. What is stored is never overwritten."
            yield f"Next: compare the two; if the stored one is right, {discarded}"
        case "later":
            yield f"Next: when its time has come, or with a greater hotfire.max_ahead in contracts/{stream}, {replayed}"
            yield f"  or: {discarded}"
        case "contract":
            yield f"Next: mend contracts/{stream}, then {replayed} --dry-run"
            yield f"  or: {discarded}"


def _state(document: Mapping[str, Any]) -> str:
    if document["state"] == "repaired":
        return f"repaired by batch {document['repaired_batch_seq']} ({document['repaired_fate']})"
    if document["state"] == "discarded":
        return f"discarded: {printable(document['reason'])}"
    return f"open, tried again {document['tries']} times" if document["tries"] else "open"
