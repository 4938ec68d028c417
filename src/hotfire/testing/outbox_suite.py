"""What every outbox must do. A test class inherits `OutboxSuite`, and says how notices get into one."""

from __future__ import annotations

from collections.abc import Sequence

from hotfire.alarm.flood import Pending, Sent
from hotfire.alarm.notices import Notice, envelope
from hotfire.protocols import Outbox

START_NS = 1_780_272_000_000_000_000
MOST = 100


def notice(number: int, target: str = "ops", severity: str = "warning") -> Notice:
    """The notice number `number`, made so many seconds after the start."""
    key = f"{target}-{number}"
    body = envelope(key, "/hotfire/w/s", "TRIGGERED", "2026-06-01T00:00:00Z", {"alarm_id": f"a{number}"})
    return Notice(key, target, f"a{number}", "TRIGGERED", severity, body, START_NS + number * 1_000_000_000)


class OutboxSuite:
    """Inherit it, and give it the fixture `outbox`: an empty one."""

    def put(self, outbox: Outbox, notices: Sequence[Notice]) -> None:
        """Commit these notices."""
        raise AssertionError(f"{type(self).__name__} has to say how {outbox} comes to hold {len(notices)} notices")

    def test_what_was_committed_is_pending(self, outbox: Outbox) -> None:
        """Each target's notices as they were committed, the oldest first, so many at the most."""
        mine = [notice(number) for number in (3, 1, 2)]
        self.put(outbox, [*mine, notice(1, "lab")])
        assert [one.notice for one in outbox.pending("ops", START_NS, MOST)] == [notice(1), notice(2), notice(3)]
        assert [one.notice for one in outbox.pending("ops", START_NS, 2)] == [notice(1), notice(2)]
        assert outbox.pending("lab", START_NS, MOST) == [Pending(notice(1, "lab"))]
        assert list(outbox.pending("nobody", START_NS, MOST)) == []

    def test_what_was_sent_is_not_pending(self, outbox: Outbox) -> None:
        """It is history: each thing that was sent, once for every severity in it, from an instant on."""
        self.put(outbox, [notice(1), notice(2), notice(3, severity="severe"), notice(4, severity="severe"), notice(5)])
        outbox.done(["ops-1"], "ops-1", START_NS + 10)
        outbox.done(["ops-2", "ops-3", "ops-4"], "sum", START_NS + 20)
        assert [one.notice.key for one in outbox.pending("ops", START_NS + 99, MOST)] == ["ops-5"]
        alone = Sent("ops-1", START_NS + 10, "warning", summary=False)
        told = {Sent("sum", START_NS + 20, severity, summary=True) for severity in ("warning", "severe")}
        assert set(outbox.sent("ops", START_NS + 10)) == {alone, *told}
        assert len(outbox.sent("ops", START_NS + 10)) == 3
        assert set(outbox.sent("ops", START_NS + 11)) == told
        assert list(outbox.sent("lab", START_NS)) == []

    def test_what_failed_is_pending_again_later(self, outbox: Outbox) -> None:
        """From its next instant on, with one more try; the others are as before."""
        self.put(outbox, [notice(1), notice(2)])
        outbox.failed(["ops-1"], START_NS + 100, "no answer")
        assert outbox.pending("ops", START_NS + 99, MOST) == [Pending(notice(2))]
        assert outbox.pending("ops", START_NS + 100, MOST) == [Pending(notice(1), tries=1), Pending(notice(2))]
        outbox.failed(["ops-1", "ops-2"], START_NS + 200, "no answer")
        assert [one.tries for one in outbox.pending("ops", START_NS + 200, MOST)] == [2, 1]
        outbox.done(["ops-1"], "ops-1", START_NS + 300)
        assert [one.notice for one in outbox.pending("ops", START_NS + 300, MOST)] == [notice(2)]

    def test_what_was_given_up_is_neither_pending_nor_sent(self, outbox: Outbox) -> None:
        """The target will never take it."""
        self.put(outbox, [notice(1), notice(2)])
        outbox.given_up(["ops-1"], START_NS + 10, "400 Bad Request")
        assert outbox.pending("ops", START_NS + 99, MOST) == [Pending(notice(2))]
        assert list(outbox.sent("ops", START_NS)) == []

    def test_many_can_be_done_at_once(self, outbox: Outbox) -> None:
        """A summary covers thousands."""
        many = [notice(number) for number in range(5000)]
        self.put(outbox, many)
        outbox.done([one.key for one in many[1:]], "sum", START_NS)
        assert [one.notice for one in outbox.pending("ops", START_NS, MOST)] == [notice(0)]
        assert outbox.sent("ops", START_NS) == [Sent("sum", START_NS, "warning", summary=True)]
