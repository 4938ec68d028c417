"""The sender: whatever fails, a notice is sent at least once, and nobody waits for anybody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from threading import Event, Lock
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotfire.alarm.flood import GATHER_NS, WINDOW_NS
from hotfire.alarm.notices import Notice
from hotfire.clock import SystemClock
from hotfire.errors import Outage, StoreOutage, UserError
from hotfire.notify.outbox import LONGEST_S, Sender, Standing, Target
from hotfire.notify.webhook import Webhook
from hotfire.testing.clocks import ManualClock
from hotfire.testing.crashes import Fuse
from hotfire.testing.outbox import ListOutbox
from hotfire.testing.outbox_suite import notice
from hotfire.testing.receiver import Receiver, Reply, receiver
from hotfire.testing.sources import Crash

START_NS = 1_780_272_000_000_000_000


class Told:
    """A notifier that writes down what it is sent, and does as it is told, attempt by attempt."""

    def __init__(self, *results: Exception | None) -> None:
        self.results, self.keys, self.closed = list(results), list[str](), False

    def send(self, notice: Notice) -> None:
        self.keys.append(notice.key)
        result = self.results.pop(0) if self.results else None
        if result:
            raise result

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def outbox() -> ListOutbox:
    return ListOutbox()


Targeted = Callable[..., Target]


@pytest.fixture
def targeted(outbox: ListOutbox, clock: ManualClock) -> Targeted:
    """A target of that name; its standings are appended to `stood`."""

    def made(notifier: Any, name: str = "ops", stood: list[Standing] | None = None) -> Target:
        heard = [] if stood is None else stood
        return Target(name, notifier, outbox, Lock(), clock, lambda _, one: heard.append(one))

    return made


@pytest.fixture
def served() -> Iterator[Callable[..., Receiver]]:
    """A server on loopback that answers as told."""
    with ExitStack() as ends:
        yield lambda *replies: ends.enter_context(receiver(*replies))


@pytest.fixture
def sending() -> Iterator[Callable[..., Sender]]:
    """A sender with threads, by the machine's clock; it ends with the test."""
    with ExitStack() as ends:

        def made(outbox: ListOutbox, *args: Any, **named: Any) -> Sender:
            sender = Sender(outbox, *args, SystemClock(), **named)
            ends.callback(sender.join, 5)
            ends.callback(sender.stop, 0)
            sender.start()
            return sender

        yield made


def until(true: Callable[[], bool], seconds: float = 10) -> None:
    clock = SystemClock()
    end_ns = clock.now_ns() + int(seconds * 1e9)
    while not true():
        assert clock.now_ns() < end_ns, "it did not come about"
        clock.sleep(0.005)


def test_what_is_pending_is_sent_in_order(outbox: ListOutbox, targeted: Targeted) -> None:
    """The oldest first, each once, and then there is nothing left."""
    outbox.put([notice(2), notice(1), notice(3, "lab")])
    told = Told()
    target = targeted(told)
    assert target.look() is False
    assert target.look() is False
    assert told.keys == ["ops-1", "ops-2"]
    assert target.standing.sent == 2
    assert [row.sent_as for row in outbox.rows.values()] == ["ops-2", "ops-1", ""]


def test_an_outage_is_tried_again_with_longer_and_longer_rests(
    outbox: ListOutbox, targeted: Targeted, clock: ManualClock
) -> None:
    """Between half and the whole of 1, 2, 4 ... 60 seconds; one attempt each time; then it is sent."""
    outbox.put([notice(1)])
    stood: list[Standing] = []
    told = Told(*[Outage("no answer", "wait")] * 12)
    target = targeted(told, stood=stood)
    for number in range(12):
        assert target.look()
        assert target.rests
        assert (target.standing.state, target.standing.tries) == ("retrying", number + 1)
        assert (target.standing.error, target.standing.do) == ("no answer", "wait")
        waited_s = 0.0
        while len(told.keys) == number + 1:
            clock.sleep(0.25)
            waited_s += 0.25
            target.look()
        longest = min(LONGEST_S, 2.0**number)
        assert longest / 2 <= waited_s <= longest + 0.25
    assert told.keys == ["ops-1"] * 13
    assert (target.standing.state, target.standing.tries, target.standing.sent) == ("running", 0, 1)
    assert outbox.rows["ops-1"].tries == 12
    assert [one.state for one in stood] == [*["retrying"] * 12, "running"]


def test_a_target_may_ask_to_be_left_alone(outbox: ListOutbox, targeted: Targeted, clock: ManualClock) -> None:
    """For as long as it says, where that is longer; nothing at all is sent to it meanwhile."""
    outbox.put([notice(1)])
    told = Told(Outage("busy", after_s=120))
    target = targeted(told)
    target.look()
    outbox.put([notice(2)])
    clock.sleep(119.9)
    assert target.look()
    assert told.keys == ["ops-1"]
    clock.sleep(0.1)
    assert not target.look()
    assert told.keys == ["ops-1", "ops-1", "ops-2"]


def test_a_notice_that_always_fails_holds_up_no_other(
    outbox: ListOutbox, targeted: Targeted, clock: ManualClock
) -> None:
    """It rests longer and longer, the target only after each of its failures, for a moment."""

    class Picky(Told):
        def send(self, notice: Notice) -> None:
            super().send(notice)
            if notice.key == "ops-1":
                raise Outage("crashes on this one")

    told = Picky()
    target = targeted(told)
    outbox.put([notice(number) for number in range(1, 6)])
    for _ in range(30):
        target.look()
        clock.sleep(1)
    assert [key for key in told.keys if key != "ops-1"] == [f"ops-{number}" for number in range(2, 6)]
    assert told.keys[:3] == ["ops-1"] * 3
    outbox.put([notice(6)])
    clock.sleep(LONGEST_S)
    target.look()
    assert told.keys[-1] == "ops-6"
    row = outbox.rows["ops-1"]
    assert (row.sent_as, row.tries) == ("", told.keys.count("ops-1"))


def test_the_order_outlasts_an_outage(outbox: ListOutbox, targeted: Targeted, clock: ManualClock) -> None:
    """However long the target is away: when it is back, what happened first is told first."""
    outbox.put([notice(number) for number in range(1, 6)])
    told = Told(*[Outage("away")] * 20)
    target = targeted(told)
    while target.look():
        clock.sleep(1)
    assert told.keys[-5:] == [f"ops-{number}" for number in range(1, 6)]


def test_what_is_refused_is_given_up_and_said(outbox: ListOutbox, targeted: Targeted, clock: ManualClock) -> None:
    """It is never sent again, its row stays with the reason, the others go on."""
    outbox.put([notice(1), notice(2)])
    told = Told(UserError("answers 400", "look"))
    target = targeted(told)
    target.look()
    clock.sleep(WINDOW_NS / 1e9)
    target.look()
    assert told.keys == ["ops-1", "ops-2"]
    row = outbox.rows["ops-1"]
    assert (row.error, row.sent_as, row.at_ns) == ("answers 400", "", START_NS)
    assert (target.standing.state, target.standing.sent, target.standing.given_up) == ("running", 1, 1)


def test_an_outbox_that_is_gone_is_waited_for(clock: ManualClock) -> None:
    """A store that cannot be reached is an outage like any other; what it holds is sent afterwards."""

    class Gone(ListOutbox):
        gone: bool = True

        def pending(self, target: str, now_ns: int, limit: int) -> Any:
            if self.gone:
                raise StoreOutage("the store is away")
            return super().pending(target, now_ns, limit)

    outbox, told = Gone(), Told()
    outbox.put([notice(1)])
    target = Target("ops", told, outbox, Lock(), clock, lambda _, __: None)
    assert target.look()
    assert (target.standing.state, target.standing.error) == ("retrying", "the store is away")
    outbox.gone = False
    clock.sleep(1)
    assert not target.look()
    assert told.keys == ["ops-1"]


def test_a_flood_is_ten_notices_and_a_summary(outbox: ListOutbox, targeted: Targeted, clock: ManualClock) -> None:
    """47 notices are 11 requests, and all 47 rows are done."""
    told = Told()
    target = targeted(told)
    outbox.put([_now(clock, number) for number in range(47)])
    assert target.look()
    assert len(told.keys) == 10
    clock.sleep(GATHER_NS / 1e9)
    assert not target.look()
    assert len(told.keys) == 11
    assert target.standing.sent == 47
    assert {row.sent_as for row in outbox.rows.values()} == set(told.keys)


def _now(clock: ManualClock, number: int) -> Notice:
    one = notice(number)
    data = one.body.replace('"alarm_id"', '"rule":"r","asset":"x","alarm_id"')
    return Notice(one.key, one.target, one.alarm_id, one.what, one.severity, data, clock.now_ns())


@given(
    results=st.lists(st.sampled_from(["taken", "outage", "refused"]), max_size=60),
    arrivals=st.lists(st.integers(0, 900), max_size=40),
)
def test_every_notice_ends_sent_or_given_up(results: list[str], arrivals: list[int]) -> None:
    """Whatever the target answers: each key is taken once, or given up; none is taken twice, none stays behind."""
    clock, outbox = ManualClock(), ListOutbox()
    errors = {"taken": None, "outage": Outage("later"), "refused": UserError("never")}
    told = Told(*[errors[result] for result in results])
    target = Target("ops", told, outbox, Lock(), clock, lambda _, __: None)
    due, number = sorted(arrivals), 0
    while due or outbox.pending("ops", 2**62, 1):
        while due and clock.now_ns() >= START_NS + due[0] * 1_000_000_000:
            due.pop(0)
            outbox.put([_now(clock, number)])
            number += 1
        target.look()
        clock.sleep(20)
        assert clock.now_ns() < START_NS + 86_400 * 1_000_000_000
    taken = [
        key
        for key, result in zip(told.keys, [*results, *["taken"] * len(told.keys)], strict=False)
        if result == "taken"
    ]
    assert len(set(taken)) == len(taken)
    for row in outbox.rows.values():
        assert row.at_ns is not None
        assert (row.sent_as in taken) != bool(not row.sent_as and row.error == "never")
    assert target.standing.sent + target.standing.given_up == number


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_dying_around_the_mark_sends_the_same_key_again(
    outbox: ListOutbox, clock: ManualClock, served: Callable[..., Receiver], *, after: bool
) -> None:
    """A process that dies between sending and marking leaves the row, and the next one sends it under the same key."""
    server = served()
    outbox.put([notice(1), notice(2)])
    dying = Fuse("outbox.done", 1, after=after).wrap("outbox", outbox)
    with pytest.raises(Crash):
        Target("ops", Webhook("ops", server.url, clock), dying, Lock(), clock, lambda _, __: None).look()
    Target("ops", Webhook("ops", server.url, clock), outbox, Lock(), clock, lambda _, __: None).look()
    assert server.keys() == (["ops-1", "ops-2"] if after else ["ops-1", "ops-1", "ops-2"])
    assert len({request.body for request in server.requests}) == 2


KILLED = """
import os, signal, sys
from pathlib import Path
from hotfire.clock import SystemClock
from hotfire.notify.outbox import Sender
from hotfire.notify.webhook import Webhook
from hotfire.testing.outbox import ListOutbox
from hotfire.testing.outbox_suite import notice

class Written(ListOutbox):
    def done(self, keys, sent_as, at_ns):
        if sys.argv[3] == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        super().done(keys, sent_as, at_ns)
        with Path(sys.argv[2]).open("a") as marks:
            marks.write("".join(f"{key}\\n" for key in keys))

outbox = Written()
done = Path(sys.argv[2]).read_text().split()
outbox.put(one for one in map(notice, range(3)) if one.key not in done)
sender = Sender(outbox, {"ops": Webhook("ops", sys.argv[1], SystemClock())}, SystemClock())
sender.start()
sender.stop(20)
sys.exit(not sender.join(25))
"""


def test_kill_9_between_sending_and_marking(served: Callable[..., Receiver], tmp_path: Any) -> None:
    """A real process that is killed there: its successor sends the same notice again, under the same key, and the rest."""
    server = served()
    marks = tmp_path / "marks"
    marks.touch()
    codes = [
        subprocess.run(
            [sys.executable, "-c", KILLED, server.url, str(marks), how], env=os.environ, check=False
        ).returncode
        for how in ("dies", "lives", "lives")
    ]
    assert codes == [-signal.SIGKILL, 0, 0]
    assert server.keys() == ["ops-0", "ops-0", "ops-1", "ops-2"]


def test_a_server_that_comes_back_gets_everything(
    outbox: ListOutbox, served: Callable[..., Receiver], sending: Callable[..., Sender]
) -> None:
    """Live: an error, a broken connection, and then it takes what there is."""
    server = served(Reply(500), Reply(drop=True))
    outbox.put([notice(1)])
    sender = sending(outbox, {"ops": Webhook("ops", server.url, SystemClock())})
    until(lambda: sender.standings["ops"].sent == 1)
    assert server.keys() == ["ops-1"] * 3


def test_waking_sends_at_once(
    outbox: ListOutbox, served: Callable[..., Receiver], sending: Callable[..., Sender]
) -> None:
    """From the commit to the server it takes far less than the half second between two looks, on average."""
    server = served()
    sender = sending(outbox, {"ops": Webhook("ops", server.url, SystemClock())})
    clock, took = SystemClock(), 0
    for number in range(8):
        began_ns = clock.now_ns()
        outbox.put([notice(number)])
        sender.wake()
        until(lambda number=number: len(server.requests) > number)
        took += clock.now_ns() - began_ns
    assert took / 8 < 0.2e9


def test_a_slow_target_keeps_no_other_waiting(outbox: ListOutbox, sending: Callable[..., Sender]) -> None:
    """While one target hangs in its first notice, another is sent all of its own."""
    hanging, release = Event(), Event()

    class Hanging(Told):
        def send(self, notice: Notice) -> None:
            hanging.set()
            release.wait()
            super().send(notice)

    slow, quick = Hanging(), Told()
    outbox.put([notice(1, "slow"), notice(2, "slow")])
    sender = sending(outbox, {"slow": slow, "quick": quick})
    assert hanging.wait(10)
    outbox.put(notice(number, "quick") for number in range(5))
    sender.wake()
    until(lambda: len(quick.keys) == 5)
    assert slow.keys == []
    release.set()
    until(lambda: len(slow.keys) == 2)


def test_stopping_sends_what_is_there(outbox: ListOutbox) -> None:
    """What is due goes out, a target that rests is not waited for, and what is left stays in the outbox."""
    clock, stood = SystemClock(), list[tuple[str, str]]()
    good, bad = Told(), Told(Outage("away", after_s=60))
    outbox.put([notice(1, "good"), notice(2, "good"), notice(1, "bad"), notice(1, "gone")])
    sender = Sender(outbox, {"good": good, "bad": bad}, clock, lambda name, one: stood.append((name, one.state)))
    began_ns = clock.now_ns()
    sender.start()
    sender.stop(30)
    assert sender.join(20)
    assert clock.now_ns() - began_ns < 10e9
    assert (good.keys, bad.keys) == (["good-1", "good-2"], ["bad-1"])
    assert good.closed
    assert bad.closed
    assert {name: standing.state for name, standing in sender.standings.items()} == {
        "good": "stopped",
        "bad": "stopped",
    }
    assert {("good", "running"), ("bad", "retrying"), ("good", "stopped"), ("bad", "stopped")} <= set(stood)
    assert [row.notice.key for row in outbox.rows.values() if row.at_ns is None] == ["bad-1", "gone-1"]


def test_stopping_waits_for_no_summary(outbox: ListOutbox) -> None:
    """A flood ends with its summary at once; where there was one in these ten minutes, the rest stays in the outbox."""
    clock = SystemClock()
    now = ManualClock(clock.now_ns())
    for numbers, things, left in ((range(14), 11, 0), (range(14, 20), 0, 6)):
        outbox.put([_now(now, number) for number in numbers])
        told = Told()
        sender, began_ns = Sender(outbox, {"ops": told}, clock), clock.now_ns()
        sender.start()
        sender.stop(60)
        assert sender.join(20)
        assert clock.now_ns() - began_ns < 10e9
        assert (len(told.keys), len(outbox.pending("ops", 2**62, 99))) == (things, left)
