"""Which version of a rule held when something happened, and who entered it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
from msgspec import Struct

from hotfire.detect.rules import compiled, contract_rules
from hotfire.engine.rulesets import chains_of, validity

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.detect.model import Rule
    from hotfire.detect.rules import RulesFile
    from hotfire.workspace.wiring import Workspace


class Version(Struct, frozen=True):
    """The text that a rule stood in.

    Attributes:
        kind: of the text.
        file: relative to the workspace.
        hash: of the contract, or of all rules of the stream.
        author, reason: as written; a contract names none.
        valid_from_ns: the event time from which on it holds; None: from the beginning.
        entered_at_ns: wall clock; None where that is no longer known.
    """

    kind: str
    file: str
    version: str
    hash: str
    author: str = ""
    reason: str = ""
    valid_from_ns: int | None = None
    entered_at_ns: int | None = None


class Held(Struct, frozen=True):
    """A rule as it held, under the contract that its rows were judged by.

    Attributes:
        rule, version: None where the texts no longer tell.
    """

    contract: Contract
    rule: Rule | None
    version: Version | None


def held(
    workspace: Workspace, stream: str, name: str, at_ns: int, batch: Mapping[str, Any] | None, seen_ns: int
) -> Held:
    """The rule of that name as it held.

    Args:
        at_ns: event time.
        batch: the ledger's row of the batch that confirmed it; None where it was the wall clock.
        seen_ns: wall clock: when it was seen; decides where there is no batch.
    """
    contracts = workspace.store.query("versions", stream=stream)
    rules = workspace.store.query("rules", stream=stream)
    by = batch or {"contract": _last(contracts, seen_ns), "rules": _last(rules, seen_ns)}
    contract = workspace.contract_of(by["contract"]) if by["contract"] else workspace.contract_in_use(stream)
    entered = {row["hash"]: row["entered_at_ns"] for row in (*contracts.rows(named=True), *rules.rows(named=True))}
    for rule in contract_rules(contract):
        if rule.name == name:
            file = _contract_file(workspace, contract)
            at = entered.get(contract.hash)
            return Held(contract, rule, Version("contract", file, contract.version, contract.hash, entered_at_ns=at))
    texts = rules.filter(pl.col("hash") == by["rules"]) if by["rules"] else rules.clear()
    for own in _files(contract, texts["texts"].item(), at_ns) if texts.height else ():
        for rule in own.rules:
            if rule.name == name:
                who = (own.author, own.reason, own.valid_from_ns, entered.get(by["rules"]))
                return Held(contract, rule, Version("rules", own.file, str(own.version), by["rules"], *who))
    return Held(contract, None, None)


def _files(contract: Contract, texts: str, at_ns: int) -> list[RulesFile]:
    """The text of each rules file that holds at an event time."""
    found = []
    for file, chain in chains_of(texts).items():
        times = validity([compiled(file, text, contract) for text in chain])
        found += [one for since_ns, one in times if since_ns <= at_ns][-1:]
    return found


def _last(versions: pl.DataFrame, seen_ns: int) -> str:
    """The hash of the version that was entered last before an instant; empty where there was none."""
    hashes = [row["hash"] for row in versions.rows(named=True) if row["entered_at_ns"] <= seen_ns]
    return str(hashes[-1]) if hashes else ""


def _contract_file(workspace: Workspace, contract: Contract) -> str:
    """The file of the newest major version among a contract's texts."""
    texts = workspace.store.query("version", hash=contract.hash)["texts"].item()
    names = [name for name, _ in msgspec.json.decode(texts, type=list[tuple[str, str]])]
    return next((name for name in names if name.endswith(f"v{contract.major}.yaml")), names[-1])
