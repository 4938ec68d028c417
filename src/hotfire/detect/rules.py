"""Rules files: YAML that is read strictly, every mistake named with its line; and the rules that a contract's limits are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hotfire.contract.document import Document, Path, read_document
from hotfire.contract.model import NAME
from hotfire.contract.words import did_you_mean
from hotfire.detect.entry import Entry
from hotfire.detect.forms import COMMON, FORMS

if TYPE_CHECKING:
    from hotfire.contract.document import Remark
    from hotfire.contract.model import Contract
    from hotfire.detect.model import Rule

FILE = ("stream", "version", "author", "reason", "valid_from", "rules")
"""The keys of a rules file."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RulesFile(Struct, frozen=True):
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
            rule = _rule(Entry(doc, (), f"{column.name}.limits", fields, contract))
            _raise(doc.remarks)
            found += [rule] if rule else []
    return tuple(found)


def stream_of(file: str, text: str) -> str:
    """The stream that a rules file is for. Raises ContractError, with file and line, where it names none."""
    doc, stream = _addressed(file, text)
    _raise(doc.remarks)
    return stream


def judged_rules(file: str, text: str, contracts: Mapping[str, Contract | None]) -> tuple[str, list[Remark]]:
    """The stream that a rules file is for, and all there is to say about it; an empty name where it names none.

    Args:
        contracts: by stream; None: it is not well written, and nothing of its rules can be said.
    """
    doc, stream = _addressed(file, text)
    if not stream or doc.remarks:
        return stream, doc.remarks
    if stream not in contracts:
        hint = did_you_mean(stream, contracts) or "make its contract, or delete the file"
        doc.warn(("stream",), "stream", f"there is no stream `{stream}`: nobody uses these rules", hint)
        return stream, doc.remarks
    contract = contracts[stream]
    return stream, [] if contract is None else read_rules(file, text, contract)[1]


def _addressed(file: str, text: str) -> tuple[Document, str]:
    """A rules file with its remarks so far, and the stream that it is for; empty where it names none."""
    doc = read_document(file, text)
    stream = doc.data.get("stream") if isinstance(doc.data, dict) else None
    if not doc.remarks and not isinstance(stream, str):
        doc.error((), "", "a rules file has `stream`, `version` and `rules`", "write `stream:` and its name")
    return doc, stream if isinstance(stream, str) else ""


def read_rules(file: str, text: str, contract: Contract) -> tuple[RulesFile | None, list[Remark]]:
    """Read a rules file for a stream's contract: what it says, and all remarks. None where any of them is an error."""
    doc = read_document(file, text)
    if doc.remarks:
        return None, doc.remarks
    data = doc.data
    if not isinstance(data, dict) or not isinstance(data.get("rules"), list):
        doc.error((), "", "a rules file has a list `rules`", "write `rules:`, and below it `- name: ...`")
        return None, doc.remarks
    for key in data:
        if key not in FILE:
            doc.error((key,), key, f"`{key}` is not known", did_you_mean(key, FILE))
    version: Any = data.get("version")
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
    return RulesFile(file, contract.stream, version, *who, valid_from_ns, rules), doc.remarks


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
        rule = _rule(Entry(doc, place, name, fields, contract))
        if rule and not any(remark.level == "error" for remark in doc.remarks[before:]):
            found.append(rule)
    return tuple(found)


def _rule(entry: Entry) -> Rule | None:
    """One rule; None where nobody can say what it is. Whatever is wrong is remarked on."""
    named = entry.fields.get("detector")
    if not isinstance(named, str) or named not in FORMS:
        what = "is missing" if named is None else f"there is no detector {named!r}"
        entry.wrong("detector", what, did_you_mean(str(named), FORMS))
        return None
    form = FORMS[named]
    for key in entry.fields:
        if key in (*COMMON, *form.keys):
            continue
        if any(key in other.keys for other in FORMS.values()):
            entry.wrong(key, f"a rule of `{named}` has no `{key}`", f"it has {', '.join(form.keys)}")
        else:
            entry.wrong(key, f"`{key}` is not known", did_you_mean(key, [*form.keys, *COMMON]))
    rule = form.read(entry)
    return replace(rule, key=f"{rule.name}@{_hash(rule, form.version)}")


def _hash(rule: Rule, version: int) -> str:
    """Of everything that decides what a rule finds; not of what people are told of it."""
    deciding = (
        *(version, rule.detector, rule.channels, rule.levels, sorted(rule.parameters.items())),
        *(rule.delays, rule.only, rule.settle_ns),
    )
    return hashlib.sha256(msgspec.json.encode(deciding)).hexdigest()[:12]
