"""`hotfire contract`: lint contracts and rules, or draft a contract from data."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hotfire.cli.command import Command, Commands
from hotfire.cli.output import Answer, counted, hint
from hotfire.cli.place import shown_place
from hotfire.cli.workspace import settings_of
from hotfire.errors import UserError

if TYPE_CHECKING:
    from hotfire.contract.document import Remark
    from hotfire.contract.model import Contract
    from hotfire.workspace.model import Settings


@click.command(
    cls=Commands,
    places={
        "lint": ("hotfire.cli.contract:lint", "say what to mend: file, line, field, suggestion"),
        "infer": ("hotfire.cli.contract:infer", "draft a contract from a file; every guess is marked"),
    },
)
def contract() -> None:
    """Contracts: what a stream promises, as ODCS 3.1 YAML in contracts/STREAM/v1.yaml."""


@click.command(cls=Command)
@click.argument("targets", metavar="[STREAM|FILE]...", nargs=-1)
def lint(targets: Sequence[str]) -> Answer:
    """Say what is to be mended in contracts and rules (errors), and what to look at (warnings).

    All streams with their rules if none is named.
    """
    from hotfire.contract.lint import lint as judge

    remarks: list[Remark] = []
    checked = []
    for name, texts in _texts(targets):
        checked.append(name)
        remarks += judge(texts)
    checked += [shown_place(target) for target in targets if _is_rules(target)]
    remarks += _of_rules(targets)
    errors = sum(remark.level == "error" for remark in remarks)
    document = {
        "errors": errors,
        "warnings": len(remarks) - errors,
        "checked": checked,
        "remarks": [_document(remark) for remark in remarks],
    }
    return Answer(document, _lines(remarks, checked, errors), 1 if errors else 0)


@click.command(cls=Command)
@click.argument("file", type=click.Path())
@click.option("--stream", help="The stream's name; else made from the file's.")
@click.option("--save", is_flag=True, help="Write it to contracts/STREAM/v1.yaml of the workspace.")
def infer(file: str, stream: str | None, *, save: bool) -> Answer:
    """Draft a contract from a file: types, units, ranges. Every guess is marked `# guess`; review them."""
    from hotfire.clock import SystemClock
    from hotfire.contract.infer import infer as draft
    from hotfire.contract.model import STREAM_NAMES, is_stream_name
    from hotfire.workspace.sample import sample, save_draft

    name = stream or stream_name(Path(file).name)
    if not is_stream_name(name):
        raise UserError(f"{name!r} cannot be a stream's name.", f"Call it {stream_name(name)}: {STREAM_NAMES}.")
    settings = _settings(required=save)
    found = sample(file, name, settings, SystemClock())
    text = draft(found.frame, name, textual=found.textual, odd=found.odd)
    document: dict[str, Any] = {"stream": name, "contract": text, "guesses": text.count("# guess")}
    if settings is None or not save:
        return Answer(document, [text.rstrip("\n")])
    place = save_draft(settings.folder, name, text)
    return Answer({**document, "saved": str(place)}, _saved(file, name, text, place))


def stream_name(text: str) -> str:
    """A name for a stream, made from a file's or from what somebody typed."""
    name = re.sub(r"[^a-z0-9]+", "_", text.partition(".")[0].lower()).strip("_")[:60].rstrip("_") or "stream"
    return name if name[0].isalpha() and not name.startswith(("hf_", "sqlite_")) else f"s_{name}"[:60]


def _settings(*, required: bool) -> Settings | None:
    try:
        return settings_of()
    except UserError:
        if required:
            raise
        return None


def _saved(file: str, stream: str, text: str, place: Path) -> Iterator[str]:
    yield f"Wrote {shown_place(str(place))} with {counted(text.count('# guess'), 'guess')}, each marked with its reason."
    yield from (line.removeprefix("# ") for line in text.splitlines() if line.startswith("# "))
    yield "Next: read it line by line, then"
    yield f"  {hint(f'contract lint {stream}')}"
    yield f"  {hint(f'ingest {stream} --from {shlex.quote(file)} --dry-run')}"


def _texts(targets: Sequence[str]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Names and texts of what is to be linted: streams of the workspace, or files."""
    from hotfire.workspace.contracts import contract_texts

    files = [target for target in targets if Path(target).is_file()]
    for file in [one for one in files if not _is_rules(one)]:
        texts = [(str(one), one.read_text(encoding="utf-8", errors="replace")) for one in _versions(Path(file))]
        yield shown_place(file), texts
    if len(files) == len(targets) and targets:
        return
    for target in targets:
        if target not in files and (target.endswith((".yaml", ".yml")) or "/" in target):
            raise UserError(f"There is no file {target}.", "Name a file, or a stream of the workspace.")
    settings = settings_of()
    folders = [name for name in settings.streams if (settings.folder / "contracts" / name).is_dir()]
    for name in [target for target in targets if target not in files] or folders:
        settings.stream(name)
        yield name, contract_texts(settings.folder, name)


def _of_rules(targets: Sequence[str]) -> list[Remark]:
    """What there is to say about rules files that are named, and those of streams; of all where nothing is named."""
    from hotfire.workspace.contracts import load_contract
    from hotfire.workspace.rules import rules_remarks

    files = {Path(target).resolve() for target in targets if _is_rules(target)}
    streams = {target for target in targets if not Path(target).is_file()}
    if targets and not (files or streams):
        return []
    settings = settings_of()
    contracts: dict[str, Contract | None] = {}
    for name in settings.streams:
        try:
            contracts[name] = load_contract(settings.folder, name)
        except UserError:
            contracts[name] = None
    return [
        remark
        for file, stream, remarks in rules_remarks(settings.folder, contracts)
        if not targets or stream in streams or (settings.folder / file).resolve() in files
        for remark in remarks
    ]


def _is_rules(target: str) -> bool:
    """Whether it names a rules file, and not a contract."""
    return Path(target).is_file() and Path(target).resolve().parent.name == "rules"


def _versions(file: Path) -> list[Path]:
    """The file, after the older versions beside it, which its lens may look back at."""
    number = re.fullmatch(r"v(\d+)\.yaml", file.name)
    older = [file.with_name(f"v{one}.yaml") for one in range(1, int(number[1]))] if number else []
    return [*(one for one in older if one.is_file()), file]


def _document(remark: Remark) -> dict[str, Any]:
    return {
        "file": remark.file,
        "line": remark.line,
        "field": remark.field,
        "level": remark.level,
        "message": remark.message,
        "suggestion": remark.suggestion,
    }


def _lines(remarks: Sequence[Remark], checked: Sequence[str], errors: int) -> Iterator[str]:
    for remark in remarks:
        level = click.style(remark.level, fg="red" if remark.level == "error" else "yellow")
        field = f" {remark.field}:" if remark.field else ""
        yield f"{remark.file}:{remark.line}: {level}:{field} {remark.message}"
        if remark.suggestion:
            yield f"    {remark.suggestion}"
    if not checked:
        yield f"There is no contract yet. Draft one: {hint('contract infer FILE')}"
    elif remarks:
        yield f"{counted(errors, 'error')}, {counted(len(remarks) - errors, 'warning')} in {', '.join(checked)}"
    else:
        yield f"{', '.join(checked)}: nothing to mend"
