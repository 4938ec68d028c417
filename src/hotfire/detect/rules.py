"""Rules files: YAML that is read strictly, every mistake named with its line; and the rules that a contract's limits are."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from hotfire.contract.document import Document, Path, did_you_mean, read_document
from hotfire.contract.model import NAME
from hotfire.detect.forms import FORMS, Entry
from hotfire.findings import About

if TYPE_CHECKING:
    from hotfire.contract.document import Remark
    from hotfire.contract.model import Contract
    from hotfire.detect.model import Rule

_FILE = ("stream", "version", "author", "reason", "valid_from", "rules")
_COMMON = (
    *("name", "detector", "channel", "channels", "severity", "while", "settle"),
    *("for", "on_delay", "off_delay", "min_violations", "latch", "message", "runbook", "owner"),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RulesFile:
    """One version of one rules file, compiled against the contract of its stream.

    Attributes:
        version: as written; who entered it, why, and from which event time on it holds (None: from now on).
    """

    file: str
    stream: str
    version: int
    author: str
    reason: str
    valid_from_ns: int | None
    rules: tuple[Rule, ...]


def contract_rules(contract: Contract) -> tuple[Rule, ...]:
    """The rules that a contract's limits are, each named `<channel>.limit`."""
    found = []
    for column in contract.columns:
        if column.limits:
            doc = Document(contract.stream)
            fields = {**column.limits, "name": f"{column.name}.limit", "detector": "limit", "channel": column.name}
            found.append(_rule(_Reading(doc, (), "", fields, contract)))
            _raise(doc.remarks)
    return tuple(found)


def stream_of(file: str, text: str) -> str:
    """The stream that a rules file is for. Raises ContractError, with file and line, where it names none."""
    doc = read_document(file, text)
    _raise(doc.remarks)
    if not isinstance(doc.data, dict) or not isinstance(doc.data.get("stream"), str):
        doc.error((), "", "a rules file has `stream`, `version` and `rules`", "write `stream:` and its name")
    _raise(doc.remarks)
    return str(doc.data["stream"])


def read_rules(file: str, text: str, contract: Contract) -> tuple[RulesFile | None, list[Remark]]:
    """Read a rules file for a stream's contract: what it says, and all remarks. None where any of them is an error."""
    doc = read_document(file, text)
    if doc.remarks:
        return None, doc.remarks
    data = doc.data
    if not isinstance(data, dict) or not isinstance(data.get("rules"), list):
        doc.error((), "", "a rules file has a list `rules`", "write `rules:`, and below it `- name: ...`")
        return None, doc.remarks
    for key in data.keys() - {*_FILE}:
        doc.error((key,), key, f"`{key}` is not known", did_you_mean(key, _FILE))
    version = data.get("version")
    if type(version) is not int or version < 1:
        doc.error(("version",), "version", "`version` is not a count from 1", "raise it with every change")
    for key in ("author", "reason"):
        if not isinstance(data.get(key, ""), str):
            doc.error((key,), key, f"`{key}` is not text", "quote it")
    valid_from_ns = _instant(doc, data.get("valid_from"))
    rules = _rules(doc, contract)
    if any(remark.level == "error" for remark in doc.remarks):
        return None, doc.remarks
    who = (data.get("author", ""), data.get("reason", ""))
    return RulesFile(file, contract.stream, int(version), *who, valid_from_ns, rules), doc.remarks


def compiled(file: str, text: str, contract: Contract) -> RulesFile:
    """As `read_rules`. Raises ContractError, with file and line, at the first error."""
    found, remarks = read_rules(file, text, contract)
    _raise(remarks)
    assert found is not None
    return found


def _raise(remarks: Sequence[Remark]) -> None:
    for remark in remarks:
        if remark.level == "error":
            raise remark.error()


def _instant(doc: Document, text: object) -> int | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(str(text))
        if instant.tzinfo is not None:
            return (instant - _EPOCH) // timedelta(microseconds=1) * 1000
    except ValueError:
        pass
    message = f"`{text}` is not an instant with a zone"
    doc.error(("valid_from",), "valid_from", message, "write it as 2026-03-01T00:00:00Z")
    return None


def _rules(doc: Document, contract: Contract) -> tuple[Rule, ...]:
    found: list[Rule] = []
    for index, fields in enumerate(doc.data["rules"]):
        place: Path = ("rules", index)
        if not isinstance(fields, dict):
            doc.error(place, f"rule {index + 1}", "is not a mapping", "write `name: ...`, `detector: ...`")
            continue
        name = fields.get("name")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            hint = "a-z, 0-9 and _, at most 60 characters, beginning with a letter"
            doc.error((*place, "name"), f"rule {index + 1}", f"{name!r} is not a name for a rule", hint)
            continue
        if name in {one.name for one in found}:
            doc.error((*place, "name"), name, f"there are two rules `{name}`", "give one of them another name")
            continue
        before = len(doc.remarks)
        rule = _rule(_Reading(doc, place, name, fields, contract))
        if not any(remark.level == "error" for remark in doc.remarks[before:]):
            found.append(rule)
    return tuple(found)


class _Reading(Entry):
    """An entry, with what every rule has."""

    def about(self) -> About:
        latch = self.fields.get("latch", False)
        if not isinstance(latch, bool):
            self.wrong("latch", f"{latch!r} is not true or false")
        return About(latch is True, self.text("runbook"), self.text("owner"), str(self.fields.get("detector")))

    def message(self, default: str) -> str:
        text = self.text("message") or default
        known = {"asset", "channel", "severity", "value", "limit"}
        known |= {column.storage for column in self.contract.columns}
        try:
            parts = [(name, form, bang) for _, name, form, bang in string.Formatter().parse(text) if name is not None]
        except ValueError as error:
            self.wrong("message", f"`{text}` is not a message: {error}", "write {{ and }} for braces")
            return ""
        for name, form, bang in parts:
            if name not in known or form or bang:
                self.wrong("message", f"there is no `{{{name}}}` to fill in", did_you_mean(str(name), sorted(known)))
        return text


def _rule(entry: _Reading) -> Rule:
    """One rule. Where something is wrong, remarks are made and something harmless stands in for it."""
    form = FORMS.get(str(entry.fields.get("detector")))
    if form is None:
        named = entry.fields.get("detector")
        entry.wrong("detector", f"there is no detector {named!r}", did_you_mean(str(named), FORMS))
        form = FORMS["limit"]
    for key in entry.fields.keys() - {*_COMMON, *form.keys}:
        entry.wrong(key, f"`{key}` is not known", did_you_mean(key, [*form.keys, *_COMMON]))
    rule = form.read(entry)
    rule = replace(rule, about=entry.about(), message=entry.message(form.message))
    return replace(rule, key=f"{rule.name}@{_hash(rule)}")


def _hash(rule: Rule) -> str:
    """Of everything that decides what a rule finds; not of what people are told of it."""
    deciding = (
        *(rule.detector, rule.channels, rule.levels, _plain(rule.parameters)),
        *(rule.delays, rule.only, rule.settle_ns),
    )
    return hashlib.sha256(msgspec.json.encode(deciding)).hexdigest()[:12]


def _plain(parameters: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(parameters.items())
