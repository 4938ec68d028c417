"""What settings are made of: instants, secrets, and texts that refer to the environment."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Self

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant_ns(text: str) -> int:
    """An ISO 8601 instant with zone, in nanoseconds of UTC. ValueError where it is not one, or has no zone."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(text)
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1000


class Secret:
    """A text that may hold passwords. Shown as it was written, with `${NAME}` in it; `reveal` gives the real one."""

    __slots__ = ("_shown", "_text")

    def __init__(self, text: str, shown: str | None = None) -> None:
        self._text = text
        shown = re.sub(r"(?<=://)([^/@:]*):(?!\$\{)[^@/]*@", r"\1:***@", text if shown is None else shown)
        self._shown = re.sub(r"([?&](?:ssl)?password=)(?!\$\{)[^&]*", r"\1***", shown)

    def reveal(self) -> str:
        """The text with every reference resolved. For drivers, never for people."""
        return self._text

    def __repr__(self) -> str:
        return self._shown

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


class Resolved(str):
    """A text with a reference in it: usable as it is, but shown as it was written."""

    __slots__ = ("written",)

    written: str

    def __new__(cls, text: str, written: str) -> Self:
        """The text, and how it was written."""
        self = super().__new__(cls, text)
        self.written = written
        return self

    def __repr__(self) -> str:
        return repr(self.written)
