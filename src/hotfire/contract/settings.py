"""hotfire's own settings in an ODCS document: `customProperties` whose names begin with `hotfire.`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct, field

from hotfire.contract.document import Document, Path
from hotfire.contract.duration import duration_ns
from hotfire.contract.words import did_you_mean
from hotfire.errors import ContractError

T = TypeVar("T")


class Settings(Struct, frozen=True):
    """The settings of one object of a document, by name without `hotfire.`.

    Attributes:
        owner: what people call the object; empty for the stream itself.
        places: where each value stands.
    """

    doc: Document
    owner: str
    values: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, Path] = field(default_factory=dict)

    def error(self, key: str, message: str, suggestion: str = "") -> None:
        """Note that a setting has to be mended."""
        name = f"{self.owner}.hotfire.{key}" if self.owner else f"hotfire.{key}"
        self.doc.error(self.places.get(key, ()), name, message, suggestion)

    def text(self, key: str) -> str | None:
        """A text that is not empty; None where there is no such setting."""
        return self._typed(key, str, "text")

    def flag(self, key: str) -> bool:
        """A switch; false where there is no such setting."""
        return bool(self._typed(key, bool, "true or false"))

    def mapping(self, key: str) -> dict[str, Any]:
        """Names and values; empty where there is no such setting."""
        return self._typed(key, dict, "a mapping of names to values") or {}

    def choice(self, key: str, options: Sequence[str], default: str) -> str:
        """One of a few words."""
        value = self.values.get(key, default)
        value = "null" if value is None and "null" in options else value
        if value in options:
            return str(value)
        suggestion = did_you_mean(value, options) if isinstance(value, str) else f"known: {', '.join(options)}"
        self.error(key, f"{value!r} is not one of {', '.join(options)}", suggestion)
        return default

    def duration(self, key: str, default_ns: int) -> int:
        """A duration in nanoseconds."""
        if key not in self.values:
            return default_ns
        try:
            return duration_ns(self.values[key])
        except ContractError as error:
            self.error(key, error.what, error.do)
            return default_ns

    def _typed(self, key: str, kind: type[T], called: str) -> T | None:
        if key not in self.values:
            return None
        value = self.values[key]
        if isinstance(value, kind) and value != "":
            return value
        self.error(key, f"{value!r} is not {called}", "quote it" if kind is str and value not in ("", None) else "")
        return None


def read_settings(doc: Document, owner: dict[str, Any], path: Path, name: str, known: Sequence[str]) -> Settings:
    """The `hotfire.*` custom properties of an object. Those of other vendors are left alone; unknown ones noted."""
    values: dict[str, Any] = {}
    places: dict[str, Path] = {}
    for index, item in enumerate(owner.get("customProperties") or ()):
        full = item.get("property")
        if not isinstance(full, str) or not full.startswith("hotfire."):
            continue
        key, place = full.removeprefix("hotfire."), (*path, "customProperties", index)
        shown = f"{name}.{full}" if name else full
        if key not in known:
            names = [f"hotfire.{one}" for one in known]
            doc.error((*place, "property"), shown, "no such setting here", did_you_mean(full, names))
        elif key in values:
            doc.error((*place, "property"), shown, "is set twice", "keep one of them")
        else:
            values[key] = item.get("value")
            places[key] = (*place, "value")
    return Settings(doc, name, values, places)
