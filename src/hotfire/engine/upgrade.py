"""Take a new major version of a contract into use: what is stored goes through its lens, store first, then lake.

Each of the two is one transaction, and each knows the version it is made for: a job that was killed goes on with what
is still of the older version. Quarantine keeps its raw bytes; a replay judges them by the new version.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from hotfire.contract.lens import upgrade
from hotfire.engine.loop import run
from hotfire.errors import ContractError, SourceChanged
from hotfire.rows import LIVE

if TYPE_CHECKING:
    from hotfire.engine.flow import Flow
    from hotfire.protocols import Read
    from hotfire.rows import Position, Span


class Nothing:
    """Implements `protocols.Source`: there is nothing to read."""

    def poll(self, after: Position) -> Read | None:  # noqa: ARG002 - the protocol's
        """Nothing."""
        return None

    def reread(self, span: Span) -> Read:
        """Raises SourceChanged: whatever it was is not here."""
        labels = ", ".join(dict.fromkeys(part.place.label for part in span.parts))
        raise SourceChanged(f"Nothing is left here of what was planned from {labels}.")

    def acknowledge(self, position: Position) -> None:
        """Nothing to let go of."""

    def close(self) -> None:
        """Nothing is held."""


def take_up(flow: Flow, texts: Sequence[tuple[str, str]]) -> None:
    """Convert store and lake to the flow's contract, where they are of an older major version.

    Args:
        flow: under the version to take up; its source is not read.
        texts: the file names and texts of all its versions.

    Raises:
        ContractError: the store is of a newer version than the contract.
    """
    contract, stream = flow.contract, flow.contract.stream
    in_use = flow.store.major(stream)
    if in_use is not None and in_use > contract.major:
        raise ContractError(
            f"{stream} is stored by version {in_use} of its contract; the newest file is v{contract.major}.yaml.",
            f"Bring contracts/{stream}/v{in_use}.yaml back.",
        )
    if in_use is not None and in_use < contract.major:
        older = next(version for version in contract.older if version.major == in_use)
        for shard in sorted({LIVE, *flow.store.query("shards", stream=stream)["shard"].to_list()}):
            run(replace(flow, contract=older, source=Nothing(), shard=shard))
        flow.store.rewrite(contract, texts, partial(upgrade, contract, in_use))
    in_lake = flow.lake.major(stream) if flow.lake else None
    if flow.lake and in_lake is not None and in_lake < contract.major:
        flow.lake.rewrite(contract, partial(upgrade, contract, in_lake))
