"""Shadow ledgers of replays, below `data/replays`: one folder a replay, of which the newest are kept."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hotfire.clock import iso
from hotfire.engine.past import Recorded
from hotfire.engine.replay import Replayed, replay
from hotfire.errors import UserError
from hotfire.ledger.digest import digest
from hotfire.workspace.rules import Rules
from hotfire.workspace.stores import open_shadow
from hotfire.workspace.wiring import Workspace

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.engine.watch import Ruleset
    from hotfire.workspace.model import Settings

KEPT = 5
"""So many replays are kept."""
_RESULT = "replay.json"


def replay_stream(
    workspace: Workspace, stream: str, since_ns: int | None = None, until_ns: int | None = None
) -> tuple[str, Replayed]:
    """Take a stream through the engine again, as it stands at this moment; the id of the replay, and what came of it.

    Raises:
        UserError: a part of a stream without event times was asked for.
    """
    replay_id = f"{iso(workspace.clock.now_ns())[:19].replace('-', '').replace(':', '')}-{secrets.token_hex(2)}"
    folder = _folder(workspace.settings) / replay_id
    store, only = workspace.store, workspace.settings.stream(stream).lake_only
    with store.steady():
        contract = workspace.contract_in_use(stream)
        rulesets = cache(partial(_ruleset_of, workspace, contract))
        recorded = Recorded(contract, store, workspace.lake, rulesets, only, since_ns, until_ns)
        if contract.time is None and not recorded.whole:
            raise UserError(f"{stream} holds entities, which have no event time.", "Replay all of it.")
        kept = store.query("version", hash=contract.hash)["texts"].to_list()
        texts = msgspec.json.decode(kept[0], type=list[tuple[str, str]]) if kept else []
        with closing(open_shadow(folder, workspace.clock)) as shadow:
            shadow.ensure(contract, texts)
            came = replay(recorded, shadow, workspace.clock, replay_id)
    (folder / _RESULT).write_text(json.dumps({"stream": stream, "digest": came.digest}), "utf-8")
    for old in _replays(workspace.settings)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return replay_id, came


def _ruleset_of(workspace: Workspace, contract: Contract, judged_by: str, digest: str) -> Ruleset | None:
    """The rules that a batch was watched by; None where they are about another major version's columns."""
    older = workspace.contract_of(judged_by)
    if older.major != contract.major:
        return None
    return Rules(workspace.settings.folder, contract, workspace.store).of(older, digest)


def digest_of(workspace: Workspace, replay_id: str) -> Mapping[str, Any]:
    """The stream and the digest of a replay, computed again from its shadow ledger. UserError where there is none."""
    folder = _folder(workspace.settings) / replay_id
    if folder.parent != _folder(workspace.settings) or not (folder / _RESULT).is_file():
        known = ", ".join(one.name for one in reversed(_replays(workspace.settings))) or "none"
        raise UserError(f"There is no finished replay {replay_id!r}.", f"Kept are: {known}.")
    stream = json.loads((folder / _RESULT).read_text("utf-8"))["stream"]
    with closing(open_shadow(folder, workspace.clock)) as shadow:
        contract = workspace.contract_of(shadow.query("versions", stream=stream)["hash"][-1], shadow)
        return {"stream": stream, "digest": digest(contract, shadow, None)}


def _folder(settings: Settings) -> Path:
    return settings.data / "replays"


def _replays(settings: Settings) -> list[Path]:
    """The folders of all replays, the oldest first."""
    folder = _folder(settings)
    return sorted(folder.iterdir(), key=lambda one: one.name) if folder.is_dir() else []
