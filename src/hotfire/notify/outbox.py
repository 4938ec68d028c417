"""Sends what the outbox holds: at least once, each target by itself, whatever fails tried again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from hotfire.alarm.flood import GATHER_NS, WINDOW_NS, Sending, digested
from hotfire.errors import HotfireError, Outage, UserError

if TYPE_CHECKING:
    from hotfire.clock import Clock
    from hotfire.protocols import Notifier, Outbox

FIRST_S, LONGEST_S = 1.0, 60.0
"""How long to wait after the first failure in a row, and at most; each wait is twice the one before, and a random part of it."""
DOUBT = 3
"""After so many failures of a notice another one is tried, too."""
LOOK_S = 0.5
"""At least this often, seconds, is the outbox looked at."""
MOST = 5000
"""So many notices are taken from the outbox at a time."""

State = Literal["running", "retrying", "stopped"]


class Standing(Struct, frozen=True):
    """How a target is doing.

    Attributes:
        tries: failures in a row.
        error, do: of the last failure, or of the last notice that was given up.
        since_ns: when it came into this state.
        sent, given_up: notices since the start; a summary counts as those that it covers.
    """

    state: State = "running"
    tries: int = 0
    error: str = ""
    do: str = ""
    since_ns: int = 0
    sent: int = 0
    given_up: int = 0


Stood = Callable[[str, Standing], None]
"""Told of every change of a target's standing, with its name, on the target's own thread."""


class Target:
    """One target, sent to by one thread at a time.

    Args:
        notifier: of this target alone.
        outbox: only ever asked under the lock.
    """

    def __init__(self, name: str, notifier: Notifier, outbox: Outbox, lock: Lock, clock: Clock, stood: Stood) -> None:
        self.name = name
        self._notifier, self._outbox, self._lock, self._clock, self._stood = notifier, outbox, lock, clock, stood
        self.standing = Standing(since_ns=clock.now_ns())
        self._rests_until_ns = 0

    @property
    def rests(self) -> bool:
        """Whether it is left alone for a while, after a failure."""
        return self._clock.now_ns() < self._rests_until_ns

    def look(self, over: Callable[[], bool] = lambda: False, gather_ns: int = GATHER_NS) -> bool:
        """Send what is due now, one thing after another. Whether anything is left that may soon be due.

        Args:
            over: whether to begin nothing more.
            gather_ns: as of `digested`.
        """
        if self.rests:
            return True
        try:
            now_ns = self._clock.now_ns()
            with self._lock:
                pending = self._outbox.pending(self.name, now_ns, MOST)
                recent = self._outbox.sent(self.name, now_ns - WINDOW_NS) if pending else ()
            done = self._send(digested(pending, recent, now_ns, gather_ns), over)
        except HotfireError as error:
            self._rest(error)
            return True
        return done < len(pending) or len(pending) == MOST

    def end(self) -> None:
        """It is sent nothing more."""
        self._be(replace(self.standing, state="stopped", since_ns=self._clock.now_ns()))
        self._notifier.close()

    def _send(self, sendings: Iterable[Sending], over: Callable[[], bool]) -> int:
        """Send in this order; how many notices are done with.

        Where one has failed again and again, the next one tells whether that is the fault of the notice or of the target.
        """
        done, doubtful = 0, list[Sending]()
        outage: Outage | None = None
        for sending in sendings:
            if over():
                break
            outage = self._attempt(sending)
            if outage is None:
                done += len(sending.covers)
                for one in doubtful:
                    next_ns = self._clock.now_ns() + _ns(_wait_s(one.tries))
                    self._put_off(one, next_ns, "Others are taken, this one is not.")
                doubtful = []
                continue
            doubtful.append(sending)
            if len(doubtful) > 1 or outage.after_s or sending.tries < DOUBT:
                break
        if outage is not None:
            self._rest(outage)
            for one in doubtful:
                self._put_off(one, self._rests_until_ns, outage.what)
        return done

    def _attempt(self, sending: Sending) -> Outage | None:
        """One attempt, and its result in the outbox; None where the notice is done with."""
        try:
            self._notifier.send(sending.notice)
        except UserError as error:
            with self._lock:
                self._outbox.given_up(sending.covers, self._clock.now_ns(), error.what)
            lost = self.standing.given_up + len(sending.covers)
            self._runs(error=error.what, do=error.do, given_up=lost)
        except Outage as error:
            return error
        else:
            with self._lock:
                self._outbox.done(sending.covers, sending.notice.key, self._clock.now_ns())
            self._runs(sent=self.standing.sent + len(sending.covers))
        return None

    def _put_off(self, sending: Sending, next_ns: int, error: str) -> None:
        with self._lock:
            self._outbox.failed(sending.covers, next_ns, error)

    def _rest(self, error: HotfireError) -> None:
        """Leave the target alone, for longer with every failure in a row."""
        now_ns, tries = self._clock.now_ns(), self.standing.tries
        rest_s = max(error.after_s if isinstance(error, Outage) else 0.0, _wait_s(tries))
        self._rests_until_ns = now_ns + _ns(rest_s)
        rests = replace(self.standing, state="retrying", tries=tries + 1, since_ns=now_ns)
        self._be(replace(rests, error=error.what, do=error.do))

    def _runs(self, **changes: Any) -> None:
        """The target has answered."""
        before = self.standing
        since_ns = before.since_ns if before.state == "running" else self._clock.now_ns()
        self._be(replace(before, state="running", tries=0, since_ns=since_ns, **changes))

    def _be(self, standing: Standing) -> None:
        self.standing = standing
        self._stood(self.name, standing)


class Sender:
    """Every target, on a thread of its own: one that is slow or gone keeps no other waiting.

    Args:
        outbox: its own connection, for the threads take turns with it.
        notifiers: by target. What the outbox holds for others stays there.
        stood: told of every change of a target's standing.
    """

    def __init__(
        self, outbox: Outbox, notifiers: Mapping[str, Notifier], clock: Clock, stood: Stood = lambda _, __: None
    ) -> None:
        lock = Lock()
        self._clock = clock
        self._targets = [Target(name, one, outbox, lock, clock, stood) for name, one in notifiers.items()]
        self._woken = {target.name: Event() for target in self._targets}
        self._threads = [
            Thread(target=self._go_on, args=(target,), name=f"notify-{target.name}", daemon=True)
            for target in self._targets
        ]
        self._stop = Event()
        self._until_ns = 0

    @property
    def standings(self) -> dict[str, Standing]:
        """How every target is doing now."""
        return {target.name: target.standing for target in self._targets}

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """There may be something to send: look now, and not only half a second later; but not where a flood is held back."""
        for woken in self._woken.values():
            woken.set()

    def stop(self, drain_s: float) -> None:
        """Send what is there, for so long at the most, and end. Returns at once.

        A target that does not answer is not waited for, nor is a summary for what it could gather; what was not sent stays
        in the outbox.
        """
        self._until_ns = self._clock.now_ns() + _ns(drain_s)
        self._stop.set()
        self.wake()

    def join(self, seconds: float) -> bool:
        """Wait for the end; whether it came in time. An attempt that has begun takes its time."""
        until_ns = self._clock.now_ns() + _ns(seconds)
        for thread in self._threads:
            thread.join(max(0.0, (until_ns - self._clock.now_ns()) / 1e9))
        return not any(thread.is_alive() for thread in self._threads)

    def _go_on(self, target: Target) -> None:
        woken = self._woken[target.name]
        try:
            while not self._over():
                woken.clear()
                ends, before = self._stop.is_set(), target.standing
                left = target.look(self._over, 0 if ends else GATHER_NS)
                if ends and (not left or target.rests or target.standing == before):
                    break
                (self._stop if left and not self._stop.is_set() else woken).wait(LOOK_S)
        finally:
            target.end()

    def _over(self) -> bool:
        return self._stop.is_set() and self._clock.now_ns() >= self._until_ns


def _wait_s(tries: int) -> float:
    """How long to wait after so many failures in a row before this one."""
    longest = min(LONGEST_S, FIRST_S * 2.0 ** min(tries, 16))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
