"""A rejected record for people's eyes: printed safely, with a caret under the field that broke a check."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from hotfire.contract.expression import columns_of

if TYPE_CHECKING:
    from hotfire.contract.model import Contract
    from hotfire.rows import Fault

_AROUND = 48
_WIDEST = 100
"""Characters of a record that are shown; of a longer one, those around the fault."""

Spot = tuple[int, int]
"""Where in a record's text something stands: [begin, end)."""


class Record(Struct, frozen=True):
    """A rejected record.

    Attributes:
        text: its bytes as UTF-8; those that are none are lone surrogates.
        reading: how it was read (`format`, `columns`, `delimiter` ...), as the source kept it.
    """

    text: str
    reading: Mapping[str, Any]

    @classmethod
    def of(cls, raw: bytes, reading: Mapping[str, Any]) -> Record:
        """From the bytes in quarantine."""
        return cls(raw.decode("utf-8", errors="surrogateescape"), reading)


Remedy = Literal["source", "stored row", "later", "contract"]
"""What can help a record: another one from its source, a look at the row in its way, time, or another contract."""


def remedy(faults: Sequence[Fault]) -> Remedy:
    """What can help a record that broke these checks; where several could, the one that the others wait for."""
    checks = {fault.check for fault in faults}
    if checks & {"row.parse", "row.encoding"}:
        return "source"
    if checks == {"key.conflict"}:
        return "stored row"
    if checks and all(check.endswith(".ahead") for check in checks):
        return "later"
    return "contract"


def pointed(record: Record, spots: Sequence[Spot]) -> tuple[str, str]:
    """One line of the record, and one with carets under the spots; a long record is cut to what is around them."""
    text = record.text
    low, high = 0, min(len(text), _WIDEST)
    if len(text) > _WIDEST:
        low = max(0, min(begin for begin, _ in spots) - _AROUND) if spots else 0
        high = min(len(text), low + _WIDEST)
    ends = ("..." if low else "", "..." if high < len(text) else "")
    shown, carets = ends[0], " " * len(ends[0])
    for at in range(low, high):
        cell = safe(text[at])
        shown += cell
        carets += ("^" if any(begin <= at < max(end, begin + 1) for begin, end in spots) else " ") * _width(cell)
    if any(begin >= high for begin, _ in spots):
        carets += "^"
    return shown + ends[1], carets.rstrip()


def safe(text: str) -> str:
    r"""A text that a terminal can show: control characters escaped, bytes that are not UTF-8 as \xNN."""
    return "".join(_escaped(letter) for letter in text)


def spots(record: Record, fault: Fault, contract: Contract) -> list[Spot]:
    """Where in the record a fault stands; empty where the record has no such place."""
    kind = fault.check.removeprefix("row.")
    if kind == "encoding":
        return [(at, at + 1) for at, letter in enumerate(record.text) if _is_byte(letter)][:1]
    if kind == "parse":
        return [_stop(record)]
    found = []
    for names in _fields(fault, contract):
        for path in names:
            spot = _find(record, path)
            if spot is not None:
                found.append(spot)
                break
    return sorted(set(found))


def _fields(fault: Fault, contract: Contract) -> Iterator[list[str]]:
    """For every column that the check is about: the fields of a source record it may come from, likeliest first."""
    for check in contract.checks:
        if check.name == fault.check:
            yield from (_paths(name, contract) for name in sorted(columns_of(check.sql)))
            return
    if fault.check == "key.conflict":
        key = (contract.asset, contract.time, *contract.key) if contract.kind == "telemetry" else contract.key
        yield from (_paths(name, contract) for name in key if name)
        return
    yield _paths(fault.check.rpartition(".")[0], contract)


def _paths(name: str, contract: Contract) -> list[str]:
    """The wire fields of a column in every version, newest first; through a lens, those it is computed from."""
    paths: list[str] = []
    wanted = {name}
    for version in reversed(contract.versions):
        paths += [column.path or column.name for column in version.columns if column.name in wanted]
        if version.lens:
            for one in list(wanted):
                wanted |= set(columns_of(version.lens.set[one])) if one in version.lens.set else set()
    return list(dict.fromkeys(paths))


def _find(record: Record, path: str) -> Spot | None:
    clock = record.reading.get("clock")
    if clock and path == clock["field"]:
        path = clock["column"]
    if record.reading.get("format") == "table":
        columns = list(record.reading["columns"])
        cells = _cells(record)
        return cells[columns.index(path)] if path in columns and columns.index(path) < len(cells) else None
    return json_value(record.text, path)


def _stop(record: Record) -> Spot:
    """Where reading stops making sense: the first cell too many, or the first letter that is no JSON."""
    end = len(record.text)
    if record.reading.get("format") == "table":
        cells, width = _cells(record), len(record.reading["columns"])
        return (cells[width][0], end) if len(cells) > width else (end, end)
    try:
        json.loads(record.text)
    except json.JSONDecodeError as error:
        return (error.pos, error.pos + 1)
    except RecursionError:
        return (0, 1)
    return (end, end)


def _cells(record: Record) -> list[Spot]:
    delimiter = record.reading.get("delimiter", ",")
    if delimiter == " ":
        return [found.span() for found in re.finditer(r"\S+", record.text)]
    cells, begin, quoted = [], 0, False
    for at, letter in enumerate(record.text):
        if letter == '"':
            quoted = not quoted
        elif letter == delimiter and not quoted:
            cells.append((begin, at))
            begin = at + 1
    return [*cells, (begin, len(record.text))]


def json_value(text: str, path: str) -> Spot | None:
    """Where the value of a dotted path stands in a JSON object; None where it is not there, or behind a mistake."""
    decoder, at = json.JSONDecoder(), 0
    keys = [path] if f'"{path}"' in text else path.split(".")
    for key in keys:
        found = _member(text, at, key, decoder)
        if found is None:
            return None
        at = found
    end = _value_end(text, at, decoder)
    return None if end is None else (at, end)


_SPACE = re.compile(r"[ \t\r\n]*")


def _member(text: str, at: int, wanted: str, decoder: json.JSONDecoder) -> int | None:
    """Where the value of a member begins, in the object at `at`."""
    at = _blank(text, at)
    if text[at : at + 1] != "{":
        return None
    at = _blank(text, at + 1)
    while text[at : at + 1] == '"':
        end = _value_end(text, at, decoder)
        if end is None:
            return None
        key = json.loads(text[at:end])
        colon = _blank(text, end)
        begin = _blank(text, colon + 1)
        if text[colon : colon + 1] != ":" or key == wanted:
            return begin if key == wanted else None
        after = _value_end(text, begin, decoder)
        if after is None:
            return None
        comma = _blank(text, after)
        at = _blank(text, comma + 1)
    return None


def _blank(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _value_end(text: str, at: int, decoder: json.JSONDecoder) -> int | None:
    try:
        return decoder.raw_decode(text, at)[1]
    except (json.JSONDecodeError, RecursionError):
        return None


def _escaped(letter: str) -> str:
    if _is_byte(letter):
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter if letter.isprintable() else letter.encode("unicode_escape", "backslashreplace").decode()


def _is_byte(letter: str) -> bool:
    return "\udc80" <= letter <= "\udcff"


def _width(shown: str) -> int:
    """Columns on a terminal: wide letters take two, combining marks none."""
    return sum(0 if unicodedata.combining(one) else 1 + (unicodedata.east_asian_width(one) in "WF") for one in shown)
