"""The rules of a workspace: the files in `rules/`, and what of them was entered into the store."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hotfire.errors import ContractError, UserError

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.engine.rulesets import Chains
    from hotfire.engine.watch import Ruleset
    from hotfire.store.operational import OperationalStore


def rules_texts(folder: Path, stream: str) -> dict[str, str]:
    """Texts of the rules files of a stream, by their names relative to the workspace.

    Raises:
        ContractError: a file is no YAML, or names no stream.
    """
    from hotfire.detect.rules import stream_of

    found = {}
    for path in sorted((folder / "rules").glob("*.yaml")):
        name = path.relative_to(folder).as_posix()
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{name} cannot be read: {error}.") from None
        if stream_of(name, text) == stream:
            found[name] = text
    return found


class Rules:
    """The rules of one stream's contract.

    Args:
        store: keeps what was entered.
    """

    def __init__(self, folder: Path, contract: Contract, store: OperationalStore) -> None:
        self._folder, self._contract, self._store = folder, contract, store

    @cached_property
    def current(self) -> Ruleset:
        """Those that hold now: the files are entered where they have changed. ContractError where one is broken."""
        from hotfire.engine.rulesets import entered, text_of

        now = rules_texts(self._folder, self._contract.stream)
        before = self.kept()
        found = entered(self._contract, before, now)
        if found.ruleset.hash and found.chains != before:
            self._store.keep_rules(self._contract.stream, found.ruleset.hash, found.versions, text_of(found.chains))
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
