"""What `doctor` says of rules and of notices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hotfire.clock import iso
from hotfire.errors import UserError
from hotfire.workspace.rules import rules_texts, stream_remarks

if TYPE_CHECKING:
    from hotfire.contract.document import Remark
    from hotfire.contract.model import Contract
    from hotfire.workspace.wiring import Workspace

_WAITED_NS = 600_000_000_000
"""A notice that has waited so long for its target is worth a word: 10 minutes."""

Seen = tuple[str, bool, str, str]
"""The name of what was looked at, whether it is well, what was seen, and what helps."""


def rules_seen(workspace: Workspace, contract: Contract) -> Iterator[Seen]:
    """Whether the rules files of a stream can be used."""
    from hotfire.engine.rulesets import entered

    if contract.kind == "entity":
        return
    stream, folder = contract.stream, workspace.settings.folder
    name = f"rules/{stream}"
    try:
        found = entered(contract, {}, rules_texts(folder, stream))
    except UserError as error:
        yield name, False, error.what, error.do or "Mend the file; the rules before it hold on."
        return
    number, warned = len(found.ruleset.editions[-1].detectors), stream_remarks(folder, contract)
    if number:
        said = f", {warning_count(warned, stream)}" if warned else ""
        yield name, True, f"{number} rules, {found.versions or 'of the contract alone'}{said}", ""


def warning_count(remarks: Sequence[Remark], stream: str) -> str:
    """How many warnings there are, and the command that shows them."""
    return f"{len(remarks)} warning{'s' * (len(remarks) > 1)}: hotfire contract lint {stream}"


def notices_seen(workspace: Workspace) -> Iterator[Seen]:
    """Whether people are told of alarms: what waits, and what was given up, by target."""
    known, now_ns = workspace.settings.notify, workspace.clock.now_ns()
    for target, waiting, since_ns, given_up, error in workspace.store.query("notices").iter_rows():
        name, do = f"notify/{target}", ""
        detail = f"{waiting:,} waiting, {given_up:,} given up"
        late = bool(waiting) and now_ns - since_ns > _WAITED_NS
        if late:
            detail += f", the oldest since {iso(since_ns)[:19]}Z"
        if target not in known and waiting:
            do = f"Nothing in hotfire.toml is called {target} any more: add it, and they are sent."
        elif late or given_up:
            do = f"The last trouble: {error}" if error else "Run `hotfire up`, or `hotfire sentinel`, which send them."
        yield name, not do, detail, do
