"""Rulesets: the limits of a contract and the rules files of its stream, compiled into detectors by time of validity."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TypeAlias

import msgspec
from msgspec import Struct

from hotfire.contract.model import Contract
from hotfire.detect import DETECTORS
from hotfire.detect.model import Rule
from hotfire.detect.rules import RulesFile, compiled, contract_rules
from hotfire.engine.watch import Edition, Ruleset
from hotfire.engine.watched import BEGINNING_NS
from hotfire.errors import ContractError

Chains: TypeAlias = Mapping[str, Sequence[str]]
"""The texts of each rules file that are still needed, in the order in which they were entered."""


class Entered(Struct, frozen=True):
    """Rules as they are entered: what is kept of them, and what they compile to.

    Attributes:
        versions: of the newest text of each file: `engines 2`.
    """

    ruleset: Ruleset
    chains: Chains
    versions: str


def entered(contract: Contract, before: Chains, now: Mapping[str, str]) -> Entered:
    """The rules after files were written anew; those that are as before stay as they are.

    A text with `valid_from` joins those before it, which hold of rows with earlier event times; one without replaces
    them, and so does the first of a file.

    Raises:
        ContractError: a file is not well written, or two rules of a stream have one name.
    """
    chains: dict[str, tuple[str, ...]] = {}
    read = _read(contract)
    newest: list[RulesFile] = []
    for file, text in sorted(now.items()):
        own = read(file, text)
        newest.append(own)
        earlier = tuple(before.get(file, ()))
        if earlier[-1:] == (text,):
            chains[file] = earlier
        elif own.valid_from_ns is None or not earlier:
            chains[file] = (text,)
        else:
            chains[file] = (*earlier, text)
    _each_name_once(newest)
    return Entered(_ruleset(contract, chains, read), chains, ", ".join(f"{one.file} {one.version}" for one in newest))


def ruleset(contract: Contract, chains: Chains) -> Ruleset:
    """The detectors of a contract's limits and of rules files, by the event time from which on they hold."""
    return _ruleset(contract, chains, _read(contract))


def _read(contract: Contract) -> Callable[[str, str], RulesFile]:
    """Reads each file for a contract once."""
    return cache(lambda file, text: compiled(file, text, contract))


def _ruleset(contract: Contract, chains: Chains, read: Callable[[str, str], RulesFile]) -> Ruleset:
    files = [validity([read(file, text) for text in texts]) for file, texts in sorted(chains.items())]
    starts = sorted({BEGINNING_NS, *(since for file in files for since, _ in file)})
    limits = contract_rules(contract) if contract.kind == "telemetry" else ()
    editions = []
    for start in starts:
        rules = list(limits)
        for file in files:
            rules += next((found.rules for since, found in reversed(file) if since <= start), ())
        editions.append(_edition(contract, start, rules))
    return Ruleset(digest(chains) if chains else "", tuple(editions))


def digest(chains: Chains) -> str:
    """The hash of rules' texts."""
    return hashlib.sha256(text_of(chains).encode()).hexdigest()


def text_of(chains: Chains) -> str:
    """Rules' texts as they are kept."""
    return msgspec.json.encode(sorted((file, list(texts)) for file, texts in chains.items())).decode()


def chains_of(text: str) -> Chains:
    """Rules' texts from what was kept."""
    return dict(msgspec.json.decode(text, type=list[tuple[str, tuple[str, ...]]]))


def validity(files: Sequence[RulesFile]) -> list[tuple[int, RulesFile]]:
    """From which event time on each text of one file holds: the first from the beginning."""
    return [(BEGINNING_NS if not at else one.valid_from_ns or BEGINNING_NS, one) for at, one in enumerate(files)]


def _edition(contract: Contract, valid_from_ns: int, rules: Sequence[Rule]) -> Edition:
    key = hashlib.sha256(" ".join(rule.key for rule in rules).encode()).hexdigest()[:12]
    return Edition(valid_from_ns, tuple(DETECTORS[rule.detector](rule) for rule in rules), contract.major, key)


def _each_name_once(files: Sequence[RulesFile]) -> None:
    owners: dict[str, str] = {}
    for file in files:
        for rule in file.rules:
            if owners.setdefault(rule.name, file.file) != file.file:
                raise ContractError(
                    f"{file.file}: the rule {rule.name} is in {owners[rule.name]}, too.", "Give one another name."
                )
