"""The rules of a workspace: the files in `rules/`, and what of them was entered into the store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hotfire.errors import ContractError, UserError
from hotfire.workspace.contracts import load_contract

if TYPE_CHECKING:
    from hotfire.clock import Clock
    from hotfire.contract.document import Remark
    from hotfire.contract.model import Contract
    from hotfire.engine.rulesets import Chains
    from hotfire.engine.watch import Ruleset
    from hotfire.store.operational import OperationalStore

_LOOK_NS = 1_000_000_000


def rules_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Names, relative to the workspace, and texts of all rules files. Raises UserError where one cannot be read."""
    for path in sorted((folder / "rules").glob("*.yaml")):
        name = path.relative_to(folder).as_posix()
        try:
            yield name, path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{name} cannot be read: {error}.") from None


def rules_texts(folder: Path, stream: str) -> dict[str, str]:
    """Texts of the rules files of a stream, by their names.

    Raises:
        ContractError: a file is no YAML, or names no stream.
    """
    from hotfire.detect.rules import stream_of

    return {name: text for name, text in rules_files(folder) if stream_of(name, text) == stream}


def rules_remarks(folder: Path, contracts: Mapping[str, Contract | None]) -> Iterator[tuple[str, str, list[Remark]]]:
    """All there is to say about rules files: the name of each, the stream that it is for, and remarks.

    Args:
        contracts: of every stream; None: it is not well written.
    """
    from hotfire.detect.rules import judged_rules

    for name, text in rules_files(folder):
        yield name, *judged_rules(name, text, contracts)


def stream_remarks(folder: Path, contract: Contract) -> list[Remark]:
    """All there is to say about the rules files of one stream."""
    judged = rules_remarks(folder, {contract.stream: contract})
    return [one for _, stream, remarks in judged if stream == contract.stream for one in remarks]


class Rules:
    """The rules of one stream's contract.

    Args:
        store: keeps what was entered.
        lenient: while a file is broken, what held of the stream's rows before holds on.

    Attributes:
        trouble: why the files cannot be used, once `current` was asked for and something else holds on.
        warnings: what to look at in files that it has entered.
    """

    def __init__(self, folder: Path, contract: Contract, store: OperationalStore, *, lenient: bool = False) -> None:
        self._folder, self._contract, self._store, self._lenient = folder, contract, store, lenient
        self.trouble: UserError | None = None
        self.warnings: list[Remark] = []

    @cached_property
    def current(self) -> Ruleset:
        """Those that hold now: the files are entered where they have changed. ContractError where one is broken."""
        from hotfire.engine.rulesets import entered, text_of

        before, stream = self.kept(), self._contract.stream
        try:
            found = entered(self._contract, before, rules_texts(self._folder, stream))
        except UserError as error:
            if not self._lenient or self._store.query("last_commit", stream=stream)["committed_at_ns"].item() is None:
                raise
            self.trouble = error
            return self.last()
        if found.chains != before:
            digest = found.ruleset.hash or _no_rules(stream)
            self._store.keep_rules(stream, digest, found.versions, text_of(found.chains))
            self.warnings = stream_remarks(self._folder, self._contract)
        return found.ruleset

    def kept(self) -> Chains:
        """The texts that were entered last."""
        from hotfire.engine.rulesets import chains_of

        rows = self._store.query("rules", stream=self._contract.stream)
        return chains_of(rows["texts"][-1]) if rows.height else {}

    def last(self) -> Ruleset:
        """Those that were entered last, whatever the files say now."""
        from hotfire.engine.rulesets import ruleset

        return ruleset(self._contract, self.kept())

    def of(self, contract: Contract, digest: str) -> Ruleset:
        """The rules that a plan names, of a contract."""
        from hotfire.engine.rulesets import chains_of, ruleset

        if not digest:
            return ruleset(contract, {})
        kept = self._store.query("version", hash=digest)
        if kept.is_empty():
            raise ContractError(f"The rules {digest[:12]} are not in the store.", "Run `hotfire doctor`.")
        return ruleset(contract, chains_of(kept["texts"].item()))


def _no_rules(stream: str) -> str:
    """What stands for the rules of a stream whose files are gone, among those that were entered."""
    return hashlib.sha256(f"{stream} has no rules".encode()).hexdigest()


class RulesFiles:
    """Looks whether the rules files of a stream have changed.

    Args:
        broken: told what is wrong with a file that has changed and cannot be used.
    """

    def __init__(self, folder: Path, stream: str, clock: Clock, broken: Callable[[UserError], None]) -> None:
        self._folder, self._stream, self._clock, self._broken = folder, stream, clock, broken
        self._seen: object = None
        self._looked_ns = 0

    def renewed(self) -> bool:
        """Whether there are other rules to use than at the last look. The first look is at what is used already."""
        now_ns = self._clock.now_ns()
        if abs(now_ns - self._looked_ns) < _LOOK_NS:
            return False
        self._looked_ns = now_ns
        seen, before = self._signature(), self._seen
        if seen == before:
            return False
        self._seen = seen
        return self._are_sound() and before is not None

    def _signature(self) -> object:
        found = []
        for path in sorted((self._folder / "rules").glob("*.yaml")):
            with suppress(OSError):
                state = path.stat()
                found.append((path.name, state.st_mtime_ns, state.st_size))
        return found

    def _are_sound(self) -> bool:
        from hotfire.engine.rulesets import entered

        try:
            entered(load_contract(self._folder, self._stream), {}, rules_texts(self._folder, self._stream))
        except UserError as error:
            self._broken(error)
            return False
        return True
