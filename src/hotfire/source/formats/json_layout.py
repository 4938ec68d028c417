"""The fields of a contract as the shape of a JSON object: a tree of keys, and a msgspec Struct for each level of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from hotfire.contract.model import Field, Type

Kind = Literal["text", "integer", "number", "boolean", "epoch", "array"]
"""What a JSON value must be: text, a whole number, any number, true or false, an instant written as a number, an array."""

Path: TypeAlias = tuple[str, ...]
"""The keys that lead to a value, outermost first."""

LEAST, MOST = -(2**63), 2**63 - 1
"""The integers that fit into 64 bits."""

_Int = Annotated[int, msgspec.Meta(ge=LEAST, le=MOST)]
_ACCEPTS: Mapping[Kind, tuple[Any, ...]] = {
    "text": (str,),
    "integer": (_Int,),
    "number": (float,),
    "boolean": (bool,),
    "epoch": (_Int, float),
    "array": (list,),
}


class Form(Struct, frozen=True):
    """One field: the kind of its value, the name of its column in the frame, and its place among the fields."""

    field: Field
    name: str
    kind: Kind
    order: int


class Slot(Struct, frozen=True):
    """One key of an object: the forms its value may have, and the object it may be."""

    key: str
    forms: tuple[Form, ...]
    inner: Shape | None

    def below(self) -> tuple[Form, ...]:
        """The forms of this key and of every key below it."""
        return self.forms + (tuple(form for slot in self.inner.slots for form in slot.below()) if self.inner else ())


class Shape(Struct, frozen=True):
    """One level of the object: its slots, and the Struct whose attributes are these slots, and then the extras.

    Attributes:
        extras: keys that are no field, but known to come: their values are kept as they are written.
        has_extras: whether there are any here or below.
    """

    slots: tuple[Slot, ...]
    struct: type[msgspec.Struct]
    extras: tuple[str, ...] = ()
    has_extras: bool = False


class Layout(Struct, frozen=True):
    """A whole record: its forms in the order of the fields, its shape, and what decodes it in one step."""

    forms: tuple[Form, ...]
    shape: Shape
    decoder: msgspec.json.Decoder[msgspec.Struct]


def layout(fields: Sequence[Field], extras: frozenset[Path] = frozenset()) -> Layout:
    """The layout of these fields and extras. The same give the same layout, built once."""
    return _layout(tuple(fields), extras)


def fits(kind: Kind, value: object) -> bool:
    """Whether a decoded value is of that kind."""
    found = type(value)
    match kind:
        case "text":
            return found is str
        case "integer":
            return found is int
        case "boolean":
            return found is bool
        case "number" | "epoch":
            return found is int or found is float
        case "array":
            return found is list


@lru_cache(maxsize=64)
def _layout(fields: tuple[Field, ...], extras: frozenset[Path]) -> Layout:
    seen: dict[str, int] = {}
    forms = []
    for order, field in enumerate(fields):
        seen[field.path] = times = seen.get(field.path, 0) + 1
        forms.append(Form(field, f"{field.path}#{times}" if times > 1 else field.path, _kind(field), order))
    shape = _shape([(form.field.path.split("."), form) for form in forms], extras)
    return Layout(tuple(forms), shape, msgspec.json.Decoder(shape.struct))


def _kind(field: Field) -> Kind:
    if field.type in ("timestamp", "date"):
        return "text" if field.format == "iso" else "epoch"
    kinds: Mapping[Type, Kind] = {"string": "text", "integer": "integer", "number": "number", "boolean": "boolean"}
    return kinds.get(field.type, "array")


def _shape(forms: Sequence[tuple[list[str], Form]], extras: Collection[Path]) -> Shape:
    keys: dict[str, list[tuple[list[str], Form]]] = {}
    for path, form in forms:
        keys.setdefault(path[0], []).append((path[1:], form))
    below = {key: [path[1:] for path in extras if len(path) > 1 and path[0] == key] for key in keys}
    slots = tuple(_slot(key, within, below[key]) for key, within in keys.items())
    own = tuple(sorted(path[0] for path in extras if len(path) == 1))
    struct = msgspec.defstruct(
        "Record",
        [
            *((f"f{at}", _annotation(slot), None) for at, slot in enumerate(slots)),
            *((f"e{at}", msgspec.Raw, None) for at in range(len(own))),
        ],
        rename={
            **{f"f{at}": slot.key for at, slot in enumerate(slots)},
            **{f"e{at}": key for at, key in enumerate(own)},
        },
        forbid_unknown_fields=True,
        gc=False,
    )
    return Shape(slots, struct, own, bool(extras))


def _slot(key: str, forms: Sequence[tuple[list[str], Form]], extras: Collection[Path]) -> Slot:
    deeper = [(path, form) for path, form in forms if path]
    return Slot(key, tuple(form for path, form in forms if not path), _shape(deeper, extras) if deeper else None)


def _annotation(slot: Slot) -> Any:
    """A union of everything the slot accepts. With several forms an integer stays one, for the form that wants it."""
    accepted = [python for form in slot.forms for python in _ACCEPTS[form.kind]]
    if len(slot.forms) > 1 and float in accepted:
        accepted.append(_Int)
    union: Any = None
    for python in dict.fromkeys([*accepted, *([slot.inner.struct] if slot.inner else [])]):
        union = python | union
    return union
