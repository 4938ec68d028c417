"""Fault files: YAML that lists what is to go wrong, read strictly, every mistake named with its line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from hotfire.contract.document import Document, read_document
from hotfire.contract.duration import duration_ns
from hotfire.contract.words import did_you_mean
from hotfire.errors import ContractError, UserError
from hotfire.simulate.faults import DELAYS, MALFORMED, SHARES, Catalogue, Given, Kind, Plan, Window
from hotfire.simulate.model import FaultFile

_KEYS = ("kind", "asset", "at", "for", "channel", "size")
_SECOND_NS = 1_000_000_000


def plan(faults: str | FaultFile, catalogue: Catalogue) -> Plan:
    """Read a plan: `none`, `default`, or a fault file. Raises UserError, with file and line, where it does not fit.

    A fault file has one key, `faults`: a list of `{kind, asset, at, for, channel, size}`. A fault of readings needs
    `kind`, `asset` and `at`; one of lines only `kind`, a delay `at` too.
    """
    if isinstance(faults, FaultFile):
        return _read(faults, catalogue)
    if faults == "none":
        return Plan()
    if faults == "default":
        return Plan(random=True, lines=tuple(Window(way, share) for way, share in catalogue.default.items()))
    raise UserError(f"{faults!r} is no set of faults.", "Known: none, default; or name a YAML file.")


def _read(file: FaultFile, catalogue: Catalogue) -> Plan:
    document = read_document(file.name, file.text)
    given: list[Given] = []
    windows: list[Window] = []
    for number, fields in enumerate(_listed(document)):
        entry = _Entry(document, number, fields, catalogue)
        kind = entry.kind()
        if kind is None:
            continue
        if kind in catalogue.kinds:
            given.append(entry.given(kind, catalogue.kinds[kind]))
        else:
            windows += entry.windows(kind)
    if document.remarks:
        error = document.remarks[0].error()
        raise UserError(error.what, error.do)
    return Plan(given=tuple(given), lines=tuple(windows))


def _listed(document: Document) -> Iterable[Mapping[str, Any]]:
    """The entries that can be looked at; what is wrong around them becomes a remark."""
    content = document.data
    if document.remarks:
        return []
    if not isinstance(content, dict) or not isinstance(content.get("faults"), list):
        document.error((), "", "a fault file has a list `faults`", "write `faults:`, and below it `- kind: ...`")
        return []
    for key in content.keys() - {"faults"}:
        document.error((key,), key, f"`{key}` is not known", did_you_mean(key, ["faults"]))
    listed = content["faults"]
    for number, one in enumerate(listed):
        if not isinstance(one, dict):
            document.error(("faults", number), f"fault {number + 1}", "no mapping", "write `kind: ...`")
    return [one if isinstance(one, dict) else {} for one in listed]


class _Entry(Struct, frozen=True):
    """One fault of a file. What is wrong with it becomes a remark, and something harmless stands in for it."""

    document: Document
    number: int
    fields: Mapping[str, Any]
    catalogue: Catalogue

    def kind(self) -> str | None:
        """The kind, if it is one that the stream knows."""
        if not self.fields:
            return None
        for key in self.fields.keys() - {*_KEYS}:
            self._wrong(key, f"`{key}` is not known", did_you_mean(key, _KEYS))
        if "kind" not in self.fields:
            self._wrong("kind", "is missing")
            return None
        return self._one_of("kind", [*self.catalogue.kinds, *self.catalogue.lines])

    def given(self, name: str, kind: Kind) -> Given:
        """A fault of readings. What is left out is the middle of what is usual."""
        for key in ("asset", "at"):
            if key not in self.fields:
                self._wrong(key, "is missing")
        channel = self._one_of("channel", kind.channels) or kind.channels[0]
        least, most = kind.sizes[channel]
        return Given(
            kind=name,
            asset=self._one_of("asset", self.catalogue.assets) or "",
            at_ns=self._ns("at", 0),
            for_ns=self._ns("for", sum(kind.duration_s) / 2),
            channel=channel,
            size=self._size((least + most) / 2, float("inf")),
        )

    def windows(self, kind: str) -> list[Window]:
        """What befalls lines: one window; of `malformed`, one for each way to be that."""
        if "channel" in self.fields:
            self._wrong("channel", f"`{kind}` concerns lines, not channels", "leave it out")
        if kind in DELAYS and "at" not in self.fields:
            self._wrong("at", "is missing")
        if kind == "outage" and "size" in self.fields:
            self._wrong("size", "an outage has none: it lasts for `for`", "leave it out")
        at_ns, asset = self._ns("at", 0), self._one_of("asset", self.catalogue.assets)
        if kind in DELAYS:
            lasts_s, delay_s = DELAYS[kind]
            return [Window(kind, self._ns("size", delay_s), asset, at_ns, self._ns("for", lasts_s))]
        for_ns = self._ns("for", 0) if "for" in self.fields else None
        size = self._size(SHARES[kind], 1.0)
        ways = [way for way in MALFORMED if way in self.catalogue.lines] if kind == "malformed" else [kind]
        return [Window(way, size / len(ways), asset, at_ns, for_ns) for way in ways]

    def _one_of(self, key: str, known: Iterable[str]) -> str | None:
        """A name; None where it is left out or not known."""
        value, names = self.fields.get(key), list(known)
        if value is None or value in names:
            return value
        few = f"known: {names[0]} to {names[-1]}" if len(names) > 12 else f"known: {', '.join(names)}"
        self._wrong(key, f"{value!r} is not known", did_you_mean(str(value), names[:1000]) or few)
        return None

    def _ns(self, key: str, default_s: float) -> int:
        value = self.fields.get(key, default_s)
        try:
            if isinstance(value, str):
                return duration_ns(value)
            if not isinstance(value, bool) and isinstance(value, int | float) and 0 <= value < 1e9:
                return round(value * _SECOND_NS)
        except ContractError as error:
            self._wrong(key, error.what, error.do)
            return 0
        self._wrong(key, f"{value!r} is no time", "write seconds, or a number and a unit, such as `5 min`")
        return 0

    def _size(self, default: float, most: float) -> float:
        value = self.fields.get("size", default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            self._wrong("size", f"{value!r} is not a number from 0{' to 1' if most == 1 else ''}")
            return 0.0
        return float(value)

    def _wrong(self, key: str, message: str, suggestion: str = "") -> None:
        self.document.error(("faults", self.number, key), f"fault {self.number + 1}: {key}", message, suggestion)
