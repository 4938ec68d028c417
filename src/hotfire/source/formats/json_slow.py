"""One JSON record judged at leisure: every fault of it, what it has besides the fields, and what can be kept.

The fast path decodes a record in one step or not at all; whatever it refuses comes here. Both accept the same values.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NoReturn

from msgspec import Struct, field

from hotfire.contract.nested import array
from hotfire.rows import Fault
from hotfire.source.formats.json_coerced import coerced, epoch, whole
from hotfire.source.formats.json_layout import Form, Kind, Path, Shape, Slot
from hotfire.source.formats.json_split import depth

if TYPE_CHECKING:
    import msgspec

DEEPEST = 100
"""How deep a record may be nested. A fixed number, because Python's own limit depends on who is calling."""

BOM = b"\xef\xbb\xbf"
_SHOWN = 200
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_FROM_OTHERS: tuple[Kind, ...] = ("text", "integer", "boolean")
_FROM_TEXT: tuple[Kind, ...] = ("integer", "number", "boolean", "epoch")
_WANTED: dict[Kind, str] = {
    "text": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "epoch": "a number",
    "array": "an array of what can be stored",
}


class _Integer(str):
    """A JSON number without fraction and exponent, as written."""

    __slots__ = ()


class _Fraction(str):
    """A JSON number with fraction or exponent, as written."""

    __slots__ = ()


class Findings(Struct):
    """What judging found, over some records, in their order.

    Attributes:
        unknown: (record number, a JSON object of what it has besides the fields).
        keys: how often each key was met that is no field, below objects that are.
    """

    faults: list[Fault] = field(default_factory=list)
    coerced: list[tuple[int, str, str]] = field(default_factory=list)
    unknown: list[tuple[int, str]] = field(default_factory=list)
    keys: Counter[Path] = field(default_factory=Counter)


class _Found(Struct):
    """What judging found in one record: faults and coercions by the place of their field, and keys of no field."""

    faults: list[tuple[int, str, str, str]] = field(default_factory=list)
    coerced: list[tuple[int, str, str]] = field(default_factory=list)
    keys: list[Path] = field(default_factory=list)


def judge(shape: Shape, raw: bytes, row_no: int, findings: Findings) -> msgspec.Struct | None:
    """The record as a Struct of its shape, with None for what broke a check; None where it cannot be read at all."""
    try:
        value = _parse(raw)
    except UnicodeDecodeError as error:
        detail = f"byte 0x{raw[error.start]:02x} at {error.start}"
        findings.faults.append(Fault(row_no, "row.encoding", _excerpt(raw), detail))
        return None
    except ValueError as error:
        findings.faults.append(Fault(row_no, "row.parse", _excerpt(raw), str(error)))
        return None
    found = _Found()
    record, unknown = _object(shape, value, found, ())
    findings.faults += [Fault(row_no, *fault) for _, *fault in sorted(found.faults)]
    findings.coerced += [(row_no, column, text) for _, column, text in sorted(found.coerced)]
    if unknown:
        findings.unknown.append((row_no, compact(unknown)))
        findings.keys.update(found.keys)
    return record


def parsed(text: str) -> Any:
    """A JSON value with numbers as they were written; `compact` writes it. Raises ValueError."""
    return _DECODER.decode(text)


def compact(value: Any) -> str:
    """A parsed value as JSON text without white space: numbers as they were written, keys sorted."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{quoted(key)}:{compact(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(compact, value)) + "]"
    if isinstance(value, _Integer | _Fraction):
        return str(value)
    return quoted(value)


def quoted(value: object) -> str:
    """A text, true, false or null as JSON text; in ASCII where a store could not hold it otherwise."""
    text = json.dumps(value, ensure_ascii=False)
    return json.dumps(value) if _UNSTORABLE.search(text) else text


def _parse(raw: bytes) -> dict[str, Any]:
    """The object that the bytes are. Raises UnicodeDecodeError, or ValueError with the reason for people."""
    text = raw.removeprefix(BOM).decode()
    if raw.count(b"[") + raw.count(b"{") > DEEPEST and depth(raw) > DEEPEST:
        raise ValueError(f"nested deeper than {DEEPEST}")
    try:
        value = parsed(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at {error.pos}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{_named(value)}, not an object")  # noqa: TRY004  # bad data, not a bad call
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_int=_Integer, parse_float=_Fraction, parse_constant=_refuse)


def _object(shape: Shape, value: dict[str, Any], found: _Found, above: Path) -> tuple[msgspec.Struct, dict[str, Any]]:
    """The Struct of one level, and what the object has besides it."""
    cells: list[Any] = []
    unknown = {key: value[key] for key in value.keys() - {slot.key for slot in shape.slots}}
    found.keys += [(*above, key) for key in unknown]
    for slot in shape.slots:
        cell = value.get(slot.key)
        if slot.inner is not None and isinstance(cell, dict):
            cell, more = _object(slot.inner, cell, found, (*above, slot.key))
            if more:
                unknown[slot.key] = more
        elif cell is not None:
            cell = _leaf(slot, cell, found)
        cells.append(cell)
    return shape.struct(*cells), unknown


def _leaf(slot: Slot, value: Any, found: _Found) -> Any:
    """The value in a form it fits, else the first it may be coerced to, else None with its faults.

    With several forms an integer stays one, for every form that takes it.
    """
    for kind in sorted((form.kind for form in slot.forms), key="number".__eq__):
        cell = _read(kind, value)
        if cell is not None:
            return cell
    text = compact(value)
    if not isinstance(value, dict | list):
        spelled, kinds = (value, _FROM_TEXT) if type(value) is str else (text, _FROM_OTHERS)
        for form in slot.forms:
            cell = coerced(form.kind, spelled) if form.field.coerce and form.kind in kinds else None
            if cell is not None:
                found.coerced.append((form.order, form.field.column, _shorten(text)))
                return cell
    first: dict[str, Form] = {}
    for form in slot.below():
        first.setdefault(form.field.path, form)
    for form in first.values():
        wanted = _WANTED[form.kind] if form in slot.forms else "an object"
        fault = (form.order, f"{form.field.column}.type", _shorten(text), _reason(value, wanted))
        found.faults.append(fault)
    return None


def _read(kind: Kind, value: Any) -> Any:
    """The value where it is of that kind, as strictly as the fast path takes it; else None."""
    found = type(value)
    match kind:
        case "text":
            return value if found is str and not _UNSTORABLE.search(value) else None
        case "boolean":
            return value if found is bool else None
        case "integer":
            return whole(value) if found is _Integer else None
        case "number":
            return _float(value) if found in (_Integer, _Fraction) else None
        case "epoch":
            return epoch(value) if found in (_Integer, _Fraction) else None
        case "array":
            return array(compact(value)) if found is list else None


def _float(text: str) -> float:
    """The nearest float64; infinite beyond its range. An integer has no negative zero."""
    number = float(text)
    return 0.0 if number == 0 and type(text) is _Integer else number


def _reason(value: Any, wanted: str) -> str:
    if type(value) is _Integer and wanted == "an integer":
        return "beyond 64 bits"
    if type(value) is str and wanted == "text":
        return "U+0000 or half a surrogate pair in text"
    return f"{_named(value)}, not {wanted}"


def _named(value: Any) -> str:
    if isinstance(value, _Integer | _Fraction):
        return "a number"
    names = {str: "text", bool: "true or false", list: "an array", dict: "an object", type(None): "null"}
    return names[type(value)]


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _excerpt(raw: bytes) -> str:
    """The begin of a record for people, with what is no text escaped."""
    return _shorten(raw[: 4 * _SHOWN].strip().decode(errors="backslashreplace").replace("\0", r"\x00"))
