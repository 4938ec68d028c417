"""What JSON records have besides the fields: keys that come again and again are learnt, and read at full speed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from hotfire.source.formats.json_layout import Path, Shape
from hotfire.source.formats.json_slow import DEEPEST, compact, parsed, quoted

if TYPE_CHECKING:
    import msgspec

_MOST_KEYS = 64
_OFTEN = 2
_SHORT = 256
_UNNAMEABLE = re.compile('["\\\\\0-\x1f\ud800-\udfff]')

Texts: TypeAlias = list[str | None]
"""A JSON text a record; None where it has nothing."""


class TooDeepError(Exception):
    """A value may be nested deeper than records can be: whoever judges the whole record has to say."""


def learnt(seen: Counter[Path]) -> frozenset[Path]:
    """The keys that are worth a place of their own: those seen more than once, in the order in which they came."""
    often = [path for path, times in seen.items() if times >= _OFTEN and not any(map(_UNNAMEABLE.search, path))]
    return frozenset(often[:_MOST_KEYS])


def texts(shape: Shape, records: Sequence[Any]) -> Texts | None:
    """What learnt keys hold in each record, as JSON objects with sorted keys; None where nothing was learnt.

    Args:
        records: Structs of the shape; whatever else is among them has nothing.

    Raises:
        TooDeepError: a value is nested so deep that the record as a whole may be too deep.
    """
    kinds = shape.struct
    parts: dict[str, Texts] = {}
    for at, slot in enumerate(shape.slots):
        if slot.inner is not None and slot.inner.has_extras:
            parts[slot.key] = texts(slot.inner, _attribute(records, kinds, f"f{at}")) or []
    for at, key in enumerate(shape.extras):
        parts[key] = _values(_attribute(records, kinds, f"e{at}"))
    return _objects(parts) if parts else None


def _attribute(records: Sequence[Any], kind: type[msgspec.Struct], name: str) -> list[Any]:
    value = attrgetter(name)
    return [value(record) if type(record) is kind else None for record in records]


def _values(raws: Sequence[msgspec.Raw | None]) -> Texts:
    """Values as `json_slow.compact` writes them. All but containers and escapes are written so already."""
    present = [raw for raw in raws if raw is not None]
    whole = b"\n".join(present)
    if b"\\" in whole or b"{" in whole or b"[" in whole:
        return [None if raw is None else _value(bytes(raw)) for raw in raws]
    found = iter(whole.decode().split("\n"))
    return [None if raw is None else next(found) for raw in raws]


def _value(raw: bytes) -> str:
    return _again(raw) if len(raw) <= _SHORT else _once(raw)


def _once(raw: bytes) -> str:
    if raw[:1] not in b"{[" and b"\\" not in raw:
        return raw.decode()
    if raw.count(b"{") + raw.count(b"[") > DEEPEST // 2:
        raise TooDeepError
    return compact(parsed(raw.decode()))


_again = lru_cache(maxsize=1 << 12)(_once)
"""The same few short containers come again and again: empty ones, tags."""


def _objects(parts: dict[str, Texts]) -> Texts:
    names = [f"{quoted(key)}:" for key in sorted(parts)]
    found: Texts = []
    for row in zip(*(parts[key] for key in sorted(parts)), strict=True):
        members = [name + text for name, text in zip(names, row, strict=True) if text is not None]
        found.append("{" + ",".join(members) + "}" if members else None)
    return found
