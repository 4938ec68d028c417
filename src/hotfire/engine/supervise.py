"""A stream that goes on by itself: an outage is waited for and tried again, and touches no other stream."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from hotfire.engine.loop import run
from hotfire.errors import HotfireError, Outage, RowsRefused

if TYPE_CHECKING:
    from hotfire.engine.flow import Flow
    from hotfire.rows import Outcome

State = Literal["starting", "running", "retrying", "stopped"]
Told = Callable[["Outcome"], None]
Stood = Callable[[str, "Standing"], None]
Wait = Callable[[float], object]
"""Returns when there may be more to read, or after so many seconds at the latest."""

FIRST_S, LONGEST_S = 0.5, 10.0
"""How long to wait after the first outage in a row, and at most; each wait is twice the one before, and a random part
of it, so that streams that failed together do not come back together."""
LOOK_S = 0.25
"""At least this often, seconds: is it time to stop, has the lake waited long enough."""


class Standing(Struct, frozen=True):
    """How a stream is doing.

    Attributes:
        tries: outages in a row; 0 where the last look went well.
        error, do: of the last outage.
        since_ns: when it came into this state.
    """

    state: State = "starting"
    tries: int = 0
    error: str = ""
    do: str = ""
    since_ns: int = 0


class Live:
    """One stream under supervision, on a thread of its own.

    Args:
        name: of the stream.
        opened: opens everything the stream needs, anew after every outage: its flow, and how to wait for more.
        now_ns: the wall clock.
        told: of every batch, after its commit.
        stood: of every change of its standing, with its name.
        renewed: whether everything is to be opened anew, because there are other rules.
    """

    def __init__(
        self,
        name: str,
        opened: Callable[[], AbstractContextManager[tuple[Flow, Wait]]],
        now_ns: Callable[[], int],
        told: Told,
        stood: Stood,
        renewed: Callable[[], bool] = lambda: False,
    ) -> None:
        self.name = name
        self._renewed = renewed
        self._opened, self._now_ns, self._told, self._stood = opened, now_ns, told, stood
        self._standing = Standing(since_ns=now_ns())
        self._lock = Lock()
        self._stop = Event()
        self._until_ns = 0
        self._thread = Thread(target=self._live, name=f"stream-{name}", daemon=True)

    @property
    def standing(self) -> Standing:
        """How it is doing now."""
        with self._lock:
            return self._standing

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, drain_s: float) -> None:
        """Take what is there now, for so long at the most, bring the lake up to date, and end. Returns at once."""
        self._until_ns = self._now_ns() + int(drain_s * 1e9)
        self._stop.set()

    def join(self, seconds: float) -> bool:
        """Wait for the end; whether it came in time."""
        self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()

    def _live(self) -> None:
        while not self._stop.is_set():
            try:
                with self._opened() as (flow, wait):
                    run(flow, self._committed, go_on=lambda idle: self._go_on(wait, idle=idle))
            except RowsRefused:
                continue
            except HotfireError as error:
                self._failed(error.what, error.do, error.after_s if isinstance(error, Outage) else 0.0)
            except Exception as error:  # noqa: BLE001 - the boundary of a stream: whatever it is, the others go on
                self._failed(f"hotfire has a bug: {type(error).__name__}: {error}", "Please report it.")
        self._be(Standing("stopped", since_ns=self._now_ns()))

    def _go_on(self, wait: Wait, *, idle: bool) -> bool:
        """The stream's `Pace`."""
        if not self._stop.is_set() and self._renewed():
            return False
        if idle:
            self._runs()
            if not self._stop.is_set():
                wait(LOOK_S)
            return not self._stop.is_set()
        return not self._stop.is_set() or self._now_ns() < self._until_ns

    def _committed(self, outcome: Outcome) -> None:
        self._runs()
        self._told(outcome)

    def _runs(self) -> None:
        """Only a commit, or having nothing to commit, ends a row of outages."""
        if self.standing.state != "running":
            self._be(Standing("running", since_ns=self._now_ns()))

    def _failed(self, what: str, do: str, after_s: float = 0.0) -> None:
        before = self.standing
        self._be(Standing("retrying", before.tries + 1, what, do, self._now_ns()))
        longest = min(LONGEST_S, FIRST_S * 2 ** min(before.tries, 16))
        self._stop.wait(max(after_s, longest * random.uniform(0.5, 1.0)))  # noqa: S311 - jitter, no secret

    def _be(self, standing: Standing) -> None:
        with self._lock:
            self._standing = standing
        self._stood(self.name, standing)
