"""Dying at a chosen moment: real parts, of which one call ends in `Crash`, just before or just after its effect.

A fuse without a point only writes down which calls a run makes; each of them is a moment to die at in the next run:

    fuse = Fuse()
    run(replace(flow, store=fuse.wrap("store", flow.store)))      # fuse.trace: [("store.open", 1), ...]
    run(replace(flow, store=Fuse("store.commit", 3, after=True).wrap("store", flow.store)))     # raises Crash
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar, cast

from hotfire.testing.sources import Crash

T = TypeVar("T")
Watcher = Callable[[str, int], None]
"""Told of every call of a wrapped part, just before it: `store.commit`, and the how-many-th call it is."""

_READS = ("poll", "reread")


def _ignore(point: str, call: int) -> None:
    """Nobody asked."""


@dataclass(eq=False)
class Fuse:
    """When to die. Used up by one death: from then on every call of a wrapped part raises `Crash`, as in a dead process.

    Attributes:
        point: part and method: `store.commit`, `lake.append`, `records.decode`; empty: never.
        call: the how-many-th call of that method, from 1.
        after: die when the call has had its effect, instead of before.
        watch: is told of every call.
        trace: every call that was made, in order.
    """

    point: str = ""
    call: int = 1
    after: bool = False
    watch: Watcher = _ignore
    trace: list[tuple[str, int]] = field(default_factory=list)
    burnt: bool = False

    def __post_init__(self) -> None:
        self._calls: Counter[str] = Counter()
        self._lock = Lock()

    def wrap(self, name: str, part: T) -> T:
        """The part, with this fuse in it. What it reads is wrapped as well: `records.decode` is the point of judging."""
        return cast("T", _Fused(name, part, self))

    def enter(self, point: str) -> int:
        """A call begins; its number. Raises Crash."""
        with self._lock:
            self._calls[point] += 1
            call = self._calls[point]
            self.trace.append((point, call))
        self.watch(point, call)
        self._die_if(self.burnt or (not self.after and (point, call) == (self.point, self.call)))
        return call

    def leave(self, point: str, call: int) -> None:
        """A call has had its effect. Raises Crash."""
        self._die_if(self.after and (point, call) == (self.point, self.call))

    def _die_if(self, moment: bool) -> None:  # noqa: FBT001 - reads as a sentence
        if moment:
            self.burnt = True
            raise Crash


class _Fused:
    """Delegates everything to the part."""

    def __init__(self, name: str, part: Any, fuse: Fuse) -> None:
        self._name, self._part, self._fuse = name, part, fuse

    def __len__(self) -> int:
        return len(self._part)

    def __bool__(self) -> bool:
        return True

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._part, attribute)
        if attribute == "records":
            return self._fuse.wrap("records", found)
        return self._call(attribute, found) if callable(found) and attribute != "close" else found

    def _call(self, method: str, found: Callable[..., Any]) -> Callable[..., Any]:
        point, fuse = f"{self._name}.{method}", self._fuse

        def called(*args: Any, **named: Any) -> Any:
            number = fuse.enter(point)
            result = found(*args, **named)
            fuse.leave(point, number)
            return fuse.wrap("read", result) if method in _READS and result is not None else result

        return called
