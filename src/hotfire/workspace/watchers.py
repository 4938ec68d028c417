"""What `doctor` says of rules, of notices and of web APIs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hotfire.clock import iso
from hotfire.errors import UserError
from hotfire.workspace.frozen import standing
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


def source_seen(workspace: Workspace, stream: str) -> Iterator[Seen]:
    """Whether the web API of a stream is looked at, still changes, and lists what is stored."""
    found, rest = standing(workspace, stream), workspace.settings.stream(stream).source.rest
    if rest is None:
        return
    if found is None:
        yield f"source/{stream}", True, "never looked at", ""
        return
    detail, do = f"looked at {iso(found.checked_ns)[:19]}Z, changed {iso(found.changed_ns)[:19]}Z", ""
    if found.frozen_ns is not None:
        detail, do = (
            f"{detail}: frozen",
            f"It should change every {rest.cadence}: ask those who run it, or set cadence.",
        )
    elif workspace.clock.now_ns() - found.checked_ns > rest.cadence_ns:
        detail, do = f"{detail}: nobody looks", f"Run `hotfire up`, or `hotfire ingest {stream}` now and then."
    elif found.missing:
        detail = f"{detail}: it lacks {found.missing:,} stored records, too many to be deleted"
        do = f"If they are gone, set max_deleted for one `hotfire ingest {stream} --reconcile`."
    yield f"source/{stream}", not do, detail, do
