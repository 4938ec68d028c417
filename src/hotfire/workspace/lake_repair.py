"""A lake's table that lost a file: whether the store can give its rows again, and what helps where it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import polars as pl
from msgspec import Struct

from hotfire.errors import LakeUnusable
from hotfire.ledger.balance import balance
from hotfire.ledger.cleared import rows_cleared
from hotfire.rows import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hotfire.contract.model import Contract
    from hotfire.workspace.wiring import Workspace

_NAMED = 5
"""So many sources are named, of more their number."""
_PAGE = 512


class Damage(Struct, frozen=True):
    """What is wrong with a stream's table in the lake.

    Attributes:
        detail: a sentence.
        batches: those that may have lost rows, by the lake's log; None where it cannot tell.
    """

    detail: str
    batches: tuple[int, int] | None = None


def damage(workspace: Workspace, stream: str) -> Damage | None:
    """What is wrong with the table's log and files; None where nothing is."""
    try:
        problems = workspace.lake.check(stream)
        if problems.is_empty():
            workspace.lake.counts(stream)
            return None
    except LakeUnusable as error:
        return Damage(error.what)
    others = problems.height - 1
    more = f" And {others:,} other file{'s' * (others > 1)}." if others else ""
    first, last = problems.select(pl.col("first").min(), pl.col("last").max()).row(0)
    known = problems["first"].null_count() == 0
    return Damage(problems["problem"][0] + more, (first, last) if known else None)


def way_out(workspace: Workspace, contract: Contract, found: Damage) -> str:
    """What to do about a damaged table."""
    backup = f"Restore {workspace.settings.lake_url}/{contract.stream} from a backup"
    if workspace.settings.stream(contract.stream).lake_only:
        lost = f"batches {found.batches[0]} to {found.batches[1]}" if found.batches else "every batch"
        sources = _sources(workspace, contract.stream, found.batches)
        named = ", ".join(sources[:_NAMED]) + (f" and {len(sources) - _NAMED:,} more" if len(sources) > _NAMED else "")
        return (
            f"{backup}: this stream's rows are kept nowhere else. Rows of {lost} may be lost; they came from {named}. "
            "Without a backup, ingest what is still there into a new workspace."
        )
    lacks = _lacks(workspace, contract)
    if lacks:
        return f"{backup}: the store does not hold every row ({lacks})."
    return "`hotfire doctor --repair` makes the table anew from the store, and keeps the broken one beside it."


def can_give_again(workspace: Workspace, contract: Contract) -> bool:
    """Whether the store holds every row of its ledger, so that the lake can follow anew from the first batch."""
    return not workspace.settings.stream(contract.stream).lake_only and not _lacks(workspace, contract)


def proof(workspace: Workspace, contract: Contract) -> str:
    """A sentence about a table that was made anew: every row counted again, in the store and in the lake.

    Raises:
        LakeUnusable: the counts differ.
    """
    found = balance(contract, workspace.store, workspace.lake)
    if not found.balanced:
        raise LakeUnusable(
            f"The lake of {contract.stream} was made anew and does not balance: {found.differences[0]}.",
            "Run `hotfire balance`, and please report it.",
        )
    rows = int(workspace.lake.counts(contract.stream)["rows"].sum())
    return f"{contract.stream}: made the lake's table anew from the store: {rows:,} rows, balanced"


def _lacks(workspace: Workspace, contract: Contract) -> str:
    """Where the store holds less than its ledger says; empty where it holds everything."""
    if cleared := rows_cleared(workspace.store, contract.stream):
        return f"retention has taken {cleared:,} row{'s' * (cleared > 1)} out of it"
    differences = balance(contract, workspace.store, None).differences
    return differences[0] if differences else ""


def _sources(workspace: Workspace, stream: str, batches: tuple[int, int] | None) -> list[str]:
    """Where the rows of these batches came from, and whether that is still there."""
    places: dict[str, str] = {}
    for span in _spans(workspace, stream, batches):
        for part in span.parts:
            path = part.place.facts.get("path")
            there = path is not None and Path(path).is_file()
            places[part.place.label] = "" if there else " (gone)"
    return [label + mark for label, mark in places.items()]


def _spans(workspace: Workspace, stream: str, batches: tuple[int, int] | None) -> Iterator[Span]:
    for shard in workspace.store.query("shards", stream=stream)["shard"]:
        after = batches[0] - 1 if batches else 0
        while True:
            page = workspace.store.query("ledger", stream=stream, shard=shard, after=after, page=_PAGE)
            for row in page.filter(pl.col("repair") == 0).rows(named=True):
                if batches is None or row["batch_seq"] <= batches[1]:
                    yield msgspec.json.decode(row["span"], type=Span)
            if page.height < _PAGE:
                break
            after = page["batch_seq"][-1]
