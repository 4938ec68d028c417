"""What a backtest is asked for, and the parts of a workspace that it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from hotfire.detect.rules import compiled, stream_of
from hotfire.engine.backtest import Backtest, backtest
from hotfire.engine.feed import narrowed, of_accepted, of_past, of_source, stored_rows, within
from hotfire.engine.rulesets import ruleset
from hotfire.engine.traces import Traces
from hotfire.errors import UserError
from hotfire.source.files import FileSource

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from hotfire.clock import Clock
    from hotfire.contract.model import Contract
    from hotfire.detect.rules import RulesFile
    from hotfire.engine.feed import Fed
    from hotfire.engine.watch import Ruleset
    from hotfire.protocols import Source
    from hotfire.workspace.wiring import Workspace


class Asked(Struct, frozen=True):
    """What a backtest is asked for.

    Attributes:
        rules: names and texts of rules files, each to be tried by itself.
        stream: empty: the one that the first file is for.
        places: files instead of the stream's history.
        since_ns, until_ns: only rows with an event time in [since, until); None is open.
        limits: with the limits of the contract.
        traced: keep what is around each condition.
    """

    rules: Sequence[tuple[str, str]]
    stream: str = ""
    places: Sequence[str] = ()
    since_ns: int | None = None
    until_ns: int | None = None
    limits: bool = True
    traced: bool = False


class Tried(Struct, frozen=True):
    """What came of it.

    Attributes:
        files: the rules, compiled.
        found: what each of them found.
        problems: of places that could not be read.
    """

    contract: Contract
    files: Sequence[RulesFile]
    found: Sequence[Backtest]
    traces: Traces | None
    problems: Sequence[UserError] = ()


def text_of(path: Path) -> tuple[str, str]:
    """A file as people named it, and its text. UserError where it cannot be read."""
    try:
        return str(path), path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UserError(f"{path} cannot be read: {why}.", "Name it from the working folder.") from None


def stream_asked(asked: Asked) -> str:
    """The stream whose rules are tried. ContractError where no file says it."""
    return asked.stream or stream_of(*asked.rules[0])


def tried(workspace: Workspace, asked: Asked) -> Tried:
    """Try rules on the history of a stream, or on files. Changes nothing.

    Raises:
        ContractError: rules are not well written.
        UserError: there is nothing to try them on.
    """
    stream = stream_asked(asked)
    contract = workspace.contract(stream)
    if contract.kind == "entity":
        raise UserError(f"{stream} holds entities; rules are about telemetry.", "Name another --stream.")
    if asked.places:
        return tried_on(contract, asked, workspace.sources.files(contract, asked.places), workspace.clock)
    with workspace.store.steady():
        return _on_history(workspace, contract, asked)


def tried_on(contract: Contract, asked: Asked, source: Source, clock: Clock) -> Tried:
    """Try rules on what a source has, as if that were all that its stream ever got."""

    def feed(narrow: Contract) -> Iterator[Fed]:
        return of_source(contract, narrow, source, clock)

    came = _on(contract, asked, feed)
    return replace(came, problems=source.problems) if isinstance(source, FileSource) else came


def tried_on_rows(contract: Contract, asked: Asked, rows: pl.DataFrame) -> Tried:
    """Try rules on rows that were stored once, in their order."""
    return _on(contract, asked, lambda narrow: of_accepted(narrow, iter([(stored_rows(narrow, rows), rows.height)])))


def _on_history(workspace: Workspace, contract: Contract, asked: Asked) -> Tried:
    """By the contract as it is written now, unless it is of another major version than the stream's tables."""
    used = workspace.contract_in_use(contract.stream)
    if used.major != contract.major:
        contract = used
    for one in asked.rules:
        compiled(*one, contract)
    if workspace.store.query("shards", stream=contract.stream).is_empty():
        hint = f"Name files: --from PLACE, or ingest first: hotfire ingest {contract.stream}"
        raise UserError(f"The stream {contract.stream} has no history yet.", hint)
    present = [one.storage for one in used.columns]
    only = workspace.settings.stream(contract.stream).lake_only

    def history(narrow: Contract) -> Iterator[Fed]:
        return of_past(narrow, workspace.store, workspace.lake, lake_only=only, present=present)

    return _on(contract, asked, history)


def _on(contract: Contract, asked: Asked, feed: Callable[[Contract], Iterator[Fed]]) -> Tried:
    files = [compiled(name, text, contract) for name, text in asked.rules]
    rulesets = [_ruleset(contract, name, text, limits=asked.limits) for name, text in asked.rules]
    narrow = narrowed(contract, rulesets)
    fed = within(feed(narrow), narrow, asked.since_ns, asked.until_ns)
    traces = Traces.of(narrow, rulesets) if asked.traced else None
    found = backtest(narrow, rulesets, fed, traces)
    return Tried(contract, files, found, traces)


def _ruleset(contract: Contract, name: str, text: str, *, limits: bool) -> Ruleset:
    """The rules of one file; a contract's limits are those with a dot in their name."""
    every = ruleset(contract, {name: [text]})
    if limits:
        return every
    editions = [
        replace(one, detectors=tuple(own for own in one.detectors if "." not in own.rule.name))
        for one in every.editions
    ]
    return replace(every, editions=tuple(editions))
